-- Owns ngx.location: what a subrequest may be told, and its checks. Source: the ngx_lua documentation,
-- "ngx.location.capture", "ngx.location.capture_multi".
local contexts = require "server.contexts"
local current = require "server.current"
local log = require "server.log"
local querystring = require "ngx.api.querystring"
local subrequest = require "server.http.subrequest"
local subrequest_options = require "server.http.subrequest_options"
local uris = require "server.http.uri"

local error, ipairs, pairs, select, tostring, type, unpack = error, ipairs, pairs, select, tostring, type, unpack

local _M = { location = {} }

local ALLOWED = { rewrite = true, access = true, content = true }
local DEPTH_MAX = 50

-- What checks an option raises for the application's function that called capture() or capture_multi():
-- above it stand check_options, check_query, make and capture_all.
local LEVEL = 6

local function args_text(args)
    local kind = type(args)
    if kind == "table" then
        return (querystring.encode(args, LEVEL))
    elseif kind == "string" or kind == "number" then
        return tostring(args)
    elseif args ~= nil then
        error("Bad args option value", LEVEL)
    end
    return ""
end

-- Both tables of text by name: variables and header fields.
local function check_pairs(values, name)
    if values == nil then
        return nil
    elseif type(values) ~= "table" then
        error("Bad " .. name .. " option value", LEVEL)
    end
    for key, value in pairs(values) do
        if type(key) ~= "string" then
            error('attempt to use a non-string key in the "vars" option table', LEVEL)
        elseif type(value) ~= "string" and type(value) ~= "number" then
            error("attempt to use bad variable value type " .. type(value), LEVEL)
        end
    end
    return values
end

local function check_flag(value, name)
    if value ~= nil and type(value) ~= "boolean" then
        error("Bad " .. name .. " option value", LEVEL)
    end
    return value
end

local function check_method(method)
    if method ~= nil and type(method) ~= "number" then
        error("Bad http request method", LEVEL)
    end
    return method
end

local function check_ctx(ctx)
    if ctx ~= nil and type(ctx) ~= "table" then
        error("Bad ctx option value type " .. type(ctx) .. ", expected a Lua table", LEVEL)
    end
    return ctx
end

local function check_body(body)
    if body ~= nil and type(body) ~= "string" and type(body) ~= "number" then
        error("Bad http request body", LEVEL)
    end
    return body ~= nil and tostring(body) or nil
end

local function check_options(options, index)
    if type(options) ~= "table" then
        error("expecting table as the 2nd argument for subrequest " .. index .. ", but got " .. type(options),
            LEVEL - 1)
    end
    return {
        args = args_text(options.args),
        vars = check_pairs(options.vars, "vars"),
        headers = check_pairs(options.headers, "headers"),
        share_all_vars = check_flag(options.share_all_vars, "share_all_vars"),
        copy_all_vars = check_flag(options.copy_all_vars, "copy_all_vars"),
        forward_body = options.always_forward_body,
        method = check_method(options.method),
        ctx = check_ctx(options.ctx),
        body = check_body(options.body),
    }
end

local NO_OPTIONS = { args = "" }

-- One entry of the list: {uri, options?}. index: counted from 0, as ngx_lua does.
local function check_query(query, index)
    if query == nil then
        error("only array-like tables are allowed", 4)
    elseif type(query) ~= "table" then
        error("the query argument " .. index .. " is not a table, but a " .. type(query), 4)
    end
    local count = #query
    if count ~= 1 and count ~= 2 then
        error("query argument " .. index .. " expecting one or two arguments", 4)
    end
    local options = count == 2 and check_options(query[2], index) or NO_OPTIONS
    local uri = query[1]
    if type(uri) ~= "string" and type(uri) ~= "number" then
        error("bad argument #3 to 'capture' (string expected, got " .. type(uri) .. ")", 4)
    end
    return tostring(uri), options
end

-- Make a subrequest of r.
local function make(r, query, index)
    local uri, options = check_query(query, index)
    local path, args = uris.parse_unsafe(uri)
    if not path then
        error("unsafe uri in argument #1: " .. uri, 3)
    elseif (r.depth or 0) > DEPTH_MAX then
        log.err('lua subrequests cycle while processing "', path, '"')
        error("failed to issue subrequest: -1", 3)
    end
    local made = subrequest.new(r, path, uris.join_args(args, options.args))
    local code = subrequest_options.put(made, r, options)
    if code then
        error("failed to adjust the subrequest: " .. code, 3)
    end
    return made
end

local function request()
    local r = current.request
    if not r then
        error("no request object found", 3)
    elseif not ALLOWED[r.phase] then
        error(contexts.refusal(r), 3)
    end
    return r
end

local function capture_all(queries)
    if #queries == 0 then
        error("at least one subrequest should be specified", 2)
    end
    local r, list = request(), {}
    for i = 1, #queries do
        list[i] = make(r, queries[i], i - 1)
    end
    subrequest.run(list)
    local results = {}
    for i, each in ipairs(list) do
        results[i] = subrequest.result(each)
    end
    return unpack(results, 1, #list)
end

-- Make subrequests, all at once: queries is an array of {uri, options?}; options: {method (ngx.HTTP_*), body,
-- args (string or table), ctx, vars, headers, copy_all_vars, share_all_vars, always_forward_body}. Waits for
-- all of them, and returns a result for each: {status, header, body, truncated}.
function _M.location.capture_multi(...)
    local count = select("#", ...)
    if count ~= 1 then
        error("only one argument is expected, but got " .. count, 2)
    end
    local queries = ...
    if type(queries) ~= "table" then
        error("bad argument #1 to 'capture_multi' (table expected, got " .. type(queries) .. ")", 2)
    end
    return capture_all(queries)
end

-- The same for one: capture(uri, options?).
function _M.location.capture(...)
    local count = select("#", ...)
    if count ~= 1 and count ~= 2 then
        error("expecting one or two arguments", 2)
    end
    return capture_all({ { ... } })
end

return _M
