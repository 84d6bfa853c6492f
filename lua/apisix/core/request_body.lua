-- Owns the request body: reading it whole, and parsing it. Part of apisix.core.request.
local core_string = require "apisix.core.string"
local get_file = require("apisix.core.io").get_file
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local multipart = require "multipart"

local ngx = ngx
local io_open = io.open
local ipairs = ipairs
local lower = string.lower
local tonumber = tonumber

local JSON = "application/json"
local FORM = "application/x-www-form-urlencoded"
local MULTIPART = "multipart/form-data"

local _M = { JSON = JSON }

local function check_size(size, max_size)
    if max_size and size > max_size then
        return nil, "request size " .. size .. " is greater than the maximum size "
            .. max_size .. " allowed"
    end
    return true
end

-- A client that waits for "100 Continue" is not told to send what is refused.
local function drop_expectation(var)
    local expect = var.http_expect
    if expect and lower(expect) == "100-continue" then
        ngx.req.clear_header("expect")
    end
end

local function read_file(name, max_size)
    log.info("attempt to read body from file: ", name)
    if max_size then
        local file, err = io_open(name, "rb")
        if not file then
            return nil, err
        end
        local size = file:seek("end")
        file:close()
        local ok
        ok, err = check_size(size, max_size)
        if not ok then
            return nil, err
        end
    end
    return get_file(name)
end

-- Returns the body as text; nil if there is none; nil, err if it is longer than max_size bytes.
function _M.get_body(max_size, ctx)
    if max_size then
        local var = ctx and ctx.var or ngx.var
        local length = tonumber(var.http_content_length)
        local ok, err = check_size(length or 0, max_size)
        if not ok then
            drop_expectation(var)
            return nil, err
        end
    end

    ngx.req.read_body()
    local data = ngx.req.get_body_data()
    if data then
        local ok, err = check_size(#data, max_size)
        if not ok then
            return nil, err
        end
        return data
    end
    local file_name = ngx.req.get_body_file()
    if not file_name then
        return nil
    end
    return read_file(file_name, max_size)
end

-- Returns the fields of an urlencoded form, all of them; an empty table (logged) if it cannot be read.
function _M.get_post_args(ctx)
    local args = ctx.req_post_args
    if not args then
        ngx.req.read_body()
        local err
        args, err = ngx.req.get_post_args(0)
        if not args then
            log.error("the post form is too large: ", err)
            args = {}
        end
        ctx.req_post_args = args
    end
    return args
end

local function get_nonempty_body(ctx, max_size)
    local data, err = _M.get_body(max_size, ctx)
    if not data then
        return nil, "could not get body: " .. (err or "request body is empty")
    end
    return data
end

local function parse_json(ctx, _, max_size)
    local data, err = get_nonempty_body(ctx, max_size)
    if not data then
        return nil, err
    end
    local object
    object, err = json.decode(data)
    if not object then
        return nil, "could not parse JSON request body: " .. (err or "invalid JSON")
    end
    return object
end

local function parse_multipart(ctx, content_type, max_size)
    local data, err = get_nonempty_body(ctx, max_size)
    if not data then
        return nil, err
    end
    local form = multipart(data, content_type)
    if not form then
        return nil, "failed to parse multipart form data"
    end
    return form:get_all()
end

local PARSERS = {
    { JSON, parse_json },
    { FORM, _M.get_post_args },
    { MULTIPART, parse_multipart },
}

local function parse(ctx, content_type, max_size)
    for _, parser in ipairs(PARSERS) do
        if core_string.find(content_type, parser[1]) then
            local result, err = parser[2](ctx, content_type, max_size)
            return result, err, parser[1]
        end
    end
    return nil, "unsupported content-type: " .. content_type .. ", supported types are: "
        .. JSON .. ", " .. FORM .. ", " .. MULTIPART
end

-- Returns what an earlier parse_table() left in ctx; nil if there is none or the body was replaced since;
-- nil, err if it was parsed as another type than the one wanted (nil: any).
function _M.get_kept_table(ctx, content_type)
    local kept = ctx._request_body_table
    local source = ctx._request_body_source
    if kept == nil or source and source ~= ngx.req.get_body_data() then
        return nil
    end
    if content_type and ctx._request_body_type ~= content_type then
        return nil, "request body type mismatch: cached type is "
            .. (ctx._request_body_type or "unknown") .. ", expected " .. content_type
    end
    return kept
end

-- Reads the body (up to max_size bytes, if given) and returns it as a table, which ctx keeps; or nil, err.
function _M.parse_table(ctx, content_type, max_size)
    local result, err, kind = parse(ctx, content_type, max_size)
    if result == nil then
        return nil, err
    end
    ctx._request_body_table = result
    ctx._request_body_type = kind
    ctx._request_body_source = ngx.req.get_body_data()
    return result
end

return _M
