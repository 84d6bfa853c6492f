-- Owns the body that response-rewrite puts in the place of the upstream's, and the filters that it passes it through.
-- Part of response-rewrite.
local content_decode = require "apisix.utils.content-decode"
local core = require "apisix.core"
local re_compile = require("resty.core.regex").re_match_compile
local secret = require "apisix.secret"

local ngx = ngx
local arg = ngx.arg
local decode_base64 = ngx.decode_base64
local header = ngx.header
local ipairs = ipairs
local pcall = pcall
local re_gsub = ngx.re.gsub
local re_sub = ngx.re.sub

local _M = {}

local function check_base64(conf)
    if not conf.body_base64 or secret.is_secret_ref(conf.body) then
        return true
    end
    if not conf.body or conf.body == "" or not decode_base64(conf.body) then
        return false, "invalid base64 content"
    end
    return true
end

-- Is anything wrong with conf beyond what the schema sees? Returns true, or false and the reason.
function _M.check(conf)
    local ok, err = check_base64(conf)
    if not ok then
        return false, err
    end
    for _, filter in ipairs(conf.filters or {}) do
        local ran, compiled, failure = pcall(re_compile, filter.regex, filter.options) -- raises for an unknown option
        if not ran or not compiled then
            return false, 'regex "' .. filter.regex .. '" validation failed: ' .. (failure or compiled)
        end
    end
    return true
end

-- The decoder of an encoded body; nil when there is none, and true if it would need one.
local function decoder_of(encoding)
    if not encoding then
        return nil, false
    end
    local decoder = content_decode.dispatch_decoder(encoding)
    if not decoder then
        core.log.error("filters may not work as expected due to unsupported compression encoding type: ", encoding)
    end
    return decoder, not decoder
end

-- In header_filter: see whether the body can be read, and drop what tells of the upstream's if another is sent.
-- Returns what rewrite() wants to know.
function _M.prepare(conf)
    local state = {}
    if conf.filters then
        state.decoder, state.unreadable = decoder_of(header["Content-Encoding"])
    end
    if (conf.body or conf.filters) and not state.unreadable then
        core.response.clear_header_as_body_modified()
    end
    return state
end

local function apply(filter, body)
    local substitute = filter.scope == "once" and re_sub or re_gsub
    local changed, _, err = substitute(body, filter.regex, filter.replace, filter.options)
    if not changed then
        core.log.error('regex "', filter.regex, '" substitutes failed:', err)
        return body
    end
    return changed
end

local function run_filters(conf, ctx, state)
    local body = core.response.hold_body_chunk(ctx, false, conf.max_resp_body_size, conf)
    if not body then
        return
    end
    if state.decoder then
        local text, err = state.decoder(body)
        if not text then
            core.log.error("filters may not work as expected: ", err)
            arg[1] = body
            return
        end
        body = text
    end
    for _, filter in ipairs(conf.filters) do
        body = apply(filter, body)
    end
    arg[1] = body
end

-- In body_filter. state: from prepare().
function _M.rewrite(conf, ctx, state)
    if conf.filters then
        if not state.unreadable then
            run_filters(conf, ctx, state)
        end
    elseif conf.body then
        arg[1] = conf.body_base64 and decode_base64(conf.body) or conf.body
        arg[2] = true
    end
end

return _M
