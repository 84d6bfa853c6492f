-- Owns ctx.var: the variables of a request as plugins and rules see them. On the path of every request:
-- what a name means is found out once per worker, what its value is once per request.
-- Mirrors apisix.core.ctx.
local body = require "apisix.core.ctx.body"
local clear = require "table.clear"
local cookie = require "resty.cookie"
local graphql = require "apisix.core.ctx.graphql"
local log = require "apisix.core.log"
local names = require "apisix.core.ctx.names"
local request = require "apisix.core.request"
local tablepool = require "tablepool"

local ngx = ngx
local ngx_var = ngx.var
local error = error
local find = string.find
local gmatch = string.gmatch
local gsub = string.gsub
local ipairs = ipairs
local lower = string.lower
local rawset = rawset
local setmetatable = setmetatable
local sub = string.sub
local tonumber = tonumber
local type = type

local MAX_RESOLVERS = 4096 -- names may be made from requests; those of configurations are fewer

local _M = { version = 0.2 }

local function set_of(list)
    local set = {}
    for _, name in ipairs(list) do
        set[name] = true
    end
    return set
end

local WRITTEN_THROUGH = set_of(names.WRITTEN_THROUGH)

-- Never kept: these follow set_uri_args().
local uncached = { args = true, is_args = true }

-- name -> function(ctx) -> value
local registered = {
    resp_body = function(ctx)
        return ctx.resp_body or ""
    end,
}
for _, name in ipairs(names.CTX_FIELDS) do
    registered[name] = function(ctx)
        return ctx and ctx[name]
    end
end

local function first(value)
    if type(value) == "table" then
        return value[1]
    end
    return value
end

local function cookie_of(var, name)
    local cookies = var.cookie
    if not cookies then
        return nil
    end
    local value, err = cookies:get(name)
    if err then
        log.warn("failed to fetch cookie value by key: ", name, " error: ", err)
    end
    return value
end

-- Names of post_arg.PATH: never kept either, as a plugin may replace the body.
local volatile = {}

-- {prefix, function(rest of the name, name) -> function(var) -> value}, in order of precedence.
local PREFIXES = {
    { "cookie_", function(name)
        return function(var) return cookie_of(var, name) end
    end },
    { "arg_", function(name)
        return function(var) return first(request.get_uri_args(var._ctx)[name]) end
    end },
    { "post_arg_", function(name)
        return function(var) return body.form_field(var._ctx, name) end
    end },
    { "uri_param_", function(name)
        return function(var)
            local matched = var._ctx.curr_req_matched
            return matched and matched[name]
        end
    end },
    { "http_", function(_, name)
        local variable = gsub(lower(name), "-", "_")
        return function() return ngx_var[variable] end
    end },
    { "graphql_", function(name)
        return function(var) return graphql.field(var._ctx, name) end
    end },
    { "post_arg.", function(path, name)
        volatile[name] = true
        return function(var) return body.body_path(var._ctx, path) end
    end },
}

local BUILT_IN = {
    method = function() return ngx.req.get_method() end,
    cookie = function() return ngx_var.http_cookie and cookie:new() or nil end,
}

-- The sum of "0.1, 0.2 : 0.3", what several upstreams took; nil where there is no number.
local function sum(text)
    local total = tonumber(text)
    if total or not text then
        return total
    end
    for token in gmatch(text, "[%d.]+") do
        total = (total or 0) + (tonumber(token) or 0)
    end
    return total
end

-- These are numbers, as APISIX's own access to variables has them.
for _, name in ipairs(names.NUMBERS) do
    BUILT_IN[name] = function() return sum(ngx_var[name]) end
end

local function make_resolver(name)
    for _, entry in ipairs(PREFIXES) do
        local prefix, make = entry[1], entry[2]
        if find(name, prefix, 1, true) == 1 then
            return make(sub(name, #prefix + 1), name)
        end
    end
    local getter = registered[name]
    if getter then
        return function(var) return getter(var._ctx) end
    end
    return function() return ngx_var[name] end
end

local resolvers, resolver_count = {}, 0

local function new_resolver(name)
    if type(name) ~= "string" then
        error("invalid argument, expect string value", 3)
    end
    if resolver_count == MAX_RESOLVERS then
        resolvers, resolver_count = {}, 0
        clear(volatile)
    end
    local resolve = BUILT_IN[name] or make_resolver(name)
    resolvers[name] = resolve
    resolver_count = resolver_count + 1
    return resolve
end

-- Values are kept in the table itself, so that the next access is a plain one; those whose assignment must
-- reach nginx are kept in _cache, as an assignment to a present key would not be seen.
local mt = {
    __index = function(var, name)
        local resolve = resolvers[name] or new_resolver(name)
        if WRITTEN_THROUGH[name] then
            local value = var._cache[name]
            if value == nil then
                value = resolve(var)
                var._cache[name] = value
            end
            return value
        end
        local value = resolve(var)
        if value ~= nil and not uncached[name] and not volatile[name] then
            rawset(var, name, value)
        end
        return value
    end,

    __newindex = function(var, name, value)
        if WRITTEN_THROUGH[name] then
            ngx_var[name] = value
            var._cache[name] = value
        else
            rawset(var, name, value)
        end
    end,
}

-- Makes name a variable. getter: function(ctx) -> value or nil; opts.no_cacheable: call it at each access,
-- not once per request. Raises unless getter is a function.
function _M.register_var(name, getter, opts)
    if type(getter) ~= "function" then
        error("the getter of registered var should be a function", 2)
    end
    registered[name] = getter
    resolvers[name] = nil
    if opts and opts.no_cacheable then
        uncached[name] = true
    end
end

-- Gives ctx its variables, ctx.var. Once per request, before anything reads them.
function _M.set_vars_meta(ctx)
    local var = tablepool.fetch("ctx_var", 0, 32)
    if not var._cache then
        var._cache = {}
    end
    var._ctx = ctx
    ctx.var = setmetatable(var, mt)
end

-- Takes them away when the request is over; nobody may hold ctx.var any more.
function _M.release_vars(ctx)
    local var = ctx.var
    if not var then
        return
    end
    ctx.var = nil
    local cache = var._cache
    clear(cache)
    clear(var)
    var._cache = cache
    tablepool.release("ctx_var", var, true)
end

return _M
