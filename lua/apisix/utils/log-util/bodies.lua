-- Owns the bodies of requests and responses for those who log them: whether they are wanted, their reading,
-- their limits. Must never hold back a byte from client or upstream. Part of apisix.utils.log-util.
local content_decode = require "apisix.utils.content-decode"
local core = require "apisix.core"
local expr = require "resty.expr.v1"

local ngx = ngx
local ipairs = ipairs
local get_body_data = ngx.req.get_body_data
local get_body_file = ngx.req.get_body_file
local ngx_header = ngx.header
local open = io.open
local read_body = ngx.req.read_body
local setmetatable = setmetatable
local sub = string.sub

local MAX_BYTES = 512 * 1024
local EXPRESSIONS = { "include_req_body_expr", "include_resp_body_expr" }

local _M = {}

-- rules (a table of a configuration) -> compiled expression, or false when it cannot be compiled
local compiled = setmetatable({}, { __mode = "k" })

local function compile(rules)
    local found, err = expr.new(rules)
    if not found then
        core.log.error("generate request expr err ", err)
    end
    compiled[rules] = found or false
    return found
end

-- Is the expression true of this request? One that cannot be compiled is not.
function _M.holds(rules, ctx)
    local found = compiled[rules]
    if found == nil then
        found = compile(rules)
    end
    return found and found:eval(ctx.var) or false
end

local function of_file(name, max_bytes)
    core.log.info("attempt to read body from file: ", name)
    local file, err = open(name, "r")
    if not file then
        return nil, "fail to open file " .. err
    end
    local body = file:read(max_bytes)
    file:close()
    return body
end

-- At most max_bytes (default 512 KiB) of a body that has been read; nil when there is none; nil, err.
function _M.of_request(max_bytes)
    max_bytes = max_bytes or MAX_BYTES
    local body = get_body_data()
    if body then
        return #body > max_bytes and sub(body, 1, max_bytes) or body
    end
    local file = get_body_file()
    if not file then
        return nil
    end
    return of_file(file, max_bytes)
end

function _M.wants_request(conf, ctx)
    return conf.include_req_body
        and (not conf.include_req_body_expr or _M.holds(conf.include_req_body_expr, ctx))
end

-- In access: have the body of the request here for later.
function _M.read_request(conf, ctx)
    if conf.include_req_body and _M.wants_request(conf, ctx) then
        read_body()
    end
end

-- Decided at the first chunk, once for each configuration: the response may change what the variables say.
local function wants_response(conf, ctx)
    local rules = conf.include_resp_body_expr
    if not rules then
        return true
    end
    local decided = ctx.log_resp_body
    if not decided then
        decided = {}
        ctx.log_resp_body = decided
    end
    if decided[conf] == nil then
        decided[conf] = _M.holds(rules, ctx)
    end
    return decided[conf]
end

local function decode(body, encoding)
    local decoder = content_decode.dispatch_decoder(encoding)
    if not decoder then
        core.log.warn("unsupported compression encoding type: ", encoding)
        return body
    end
    local text, err = decoder(body)
    if err then
        core.log.warn("try decode compressed data err: ", err)
        return body
    end
    return text
end

-- In body_filter: once all of the response, or as much as is wanted, has passed, it stands in ctx.resp_body.
function _M.collect_response(conf, ctx)
    if not conf.include_resp_body or not wants_response(conf, ctx) then
        return
    end
    local body = core.response.hold_body_chunk(ctx, true, conf.max_resp_body_bytes or MAX_BYTES, conf)
    if not body then
        return
    end
    local encoding = ngx_header["Content-Encoding"]
    if encoding and not ctx.gzip_matched then -- our own gzip comes after this filter
        body = decode(body, encoding)
    end
    ctx.resp_body = body
end

-- Can the expressions of a logger's configuration be compiled? Returns true, or nil and why not.
function _M.check(conf)
    for _, name in ipairs(EXPRESSIONS) do
        if conf[name] then
            local ok, err = expr.new(conf[name])
            if not ok then
                return nil, "failed to validate the '" .. name .. "' expression: " .. err
            end
        end
    end
    return true, nil
end

return _M
