-- Owns the URI that proxy-rewrite gives the upstream. Unless asked to be unsafe it escapes what would end a path,
-- a query or a request line. Part of proxy-rewrite.
local core = require "apisix.core"

local escape_controls = core.utils.escape_uri_control_chars
local find = string.find
local gsub = string.gsub
local re_match = ngx.re.match
local re_sub = ngx.re.sub
local resolve_var = core.utils.resolve_var
local safe_encode = core.utils.uri_safe_encode
local set_uri = ngx.req.set_uri
local sub = string.sub

local _M = {}

local function question_mark(uri)
    return find(uri, "?", 1, true)
end

-- A variable's value is part of the path wherever it stands: it must not begin the query.
local function escape_question_marks(value)
    return (gsub(value, "%?", "%%3F"))
end

-- The URI as the client sent it, and its query with the question mark ("" without one).
local function as_sent(ctx)
    local uri = ctx.var.real_request_uri
    local mark = question_mark(uri)
    return uri, mark and sub(uri, mark) or ""
end

-- query: "" or "?…".
local function from_template(template, query, ctx)
    local uri = resolve_var(template, ctx.var, escape_question_marks)
    if query == "" then
        return uri
    end
    return uri .. (question_mark(uri) and "&" .. sub(query, 2) or query)
end

-- Returns what the first matching pattern makes of uri, uri itself when none does; or nil, err.
local function from_patterns(patterns, uri, ctx)
    for i = 1, #patterns, 2 do
        local pattern, replacement = patterns[i], patterns[i + 1]
        local captures, err = re_match(uri, pattern, "jo")
        if err then
            return nil, "failed to match the uri " .. ctx.var.uri .. " (" .. pattern .. ")  : " .. err
        end
        if captures then
            ctx.proxy_rewrite_regex_uri_captures = captures
            local rewritten, _, failure = re_sub(uri, pattern, replacement, "jo")
            if not rewritten then
                return nil, "failed to substitute the uri " .. ctx.var.uri .. " (" .. pattern .. ") with "
                    .. replacement .. " : " .. failure
            end
            return rewritten
        end
    end
    return uri
end

-- mark: where the query begins, nil if all of uri is path.
local function escape(uri, mark)
    if not mark then
        return safe_encode(uri)
    end
    return safe_encode(sub(uri, 1, mark - 1)) .. escape_controls(sub(uri, mark))
end

-- The client's query goes on after ours.
local function with_args(uri, ctx)
    if ctx.var.is_args ~= "?" then
        return uri
    end
    return uri .. (question_mark(uri) and "&" or "?") .. (ctx.var.args or "")
end

-- Set what is sent to the upstream by uri, regex_uri and use_real_request_uri_unsafe of conf. Returns true, or
-- nil, err.
function _M.rewrite(conf, ctx)
    local unsafe = conf.use_real_request_uri_unsafe
    local uri, query = ctx.var.uri, ""
    if unsafe then
        uri, query = as_sent(ctx)
    end
    -- A question mark that came in the decoded path was "%3F" and is to be again.
    local may_have_query = false
    if conf.uri then
        may_have_query = true
        uri = from_template(conf.uri, query, ctx)
    elseif conf.regex_uri then
        may_have_query = not question_mark(uri)
        local err
        uri, err = from_patterns(conf.regex_uri, uri, ctx)
        if not uri then
            return nil, err
        end
    end
    if unsafe then
        ctx.var.upstream_uri = uri
        return true
    end
    uri = escape(uri, may_have_query and question_mark(uri) or nil)
    set_uri(uri)
    ctx.var.upstream_uri = with_args(uri, ctx)
    return true
end

return _M
