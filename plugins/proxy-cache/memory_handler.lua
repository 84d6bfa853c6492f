-- Owns the memory strategy of proxy-cache: which responses are kept and given, by Cache-Control if told so.
local core = require "apisix.core"
local memory = require "apisix.plugins.proxy-cache.memory"
local util = require "apisix.plugins.proxy-cache.util"
local variants = require "apisix.plugins.proxy-cache.variants"

local concat = table.concat
local find = string.find
local floor = math.floor
local gmatch = string.gmatch
local lower = string.lower
local match = string.match
local max = math.max
local ngx = ngx
local now = ngx.now
local pairs = pairs
local parse_http_time = ngx.parse_http_time
local tonumber = tonumber
local type = type

local STATUS = "Apisix-Cache-Status"

-- Fields that are of a connection, or made anew: those kept do not replace them.
local NOT_GIVEN = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
    ["te"] = true, ["trailers"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true,
    [lower(STATUS)] = true,
}
local OF_CACHES = { ["expires"] = true, ["cache-control"] = true }

local _M = { purge_all_variants = variants.purge_all }

local set_header = core.response.set_header

-- What a Cache-Control (text, texts or nil) says: name -> number, text or true.
local function directives(value)
    local found = {}
    if type(value) == "table" then
        value = concat(value, ", ")
    end
    for item in gmatch(value or "", "[^,]+") do
        local name, rest = match(item, "^%s*([^=]+)=?(.*)$")
        if name then
            found[lower(match(name, "^(.-)%s*$"))] = tonumber(rest) or rest ~= "" and rest or true
        end
    end
    return found
end

-- For how many seconds the upstream lets its response be kept.
local function upstream_ttl(ctx, control)
    local seconds = tonumber(control["s-maxage"] or control["max-age"])
    if not seconds then
        local time = parse_http_time(ctx.var.upstream_http_expires or "")
        seconds = time and time - now()
    end
    return seconds and max(seconds, 0) or 0
end

-- Why the request is none for the cache, or nil.
local function request_fault(conf, ctx, control)
    if not util.match_method(conf, ctx) then
        return "MISS"
    elseif conf.cache_bypass then
        local value = util.generate_complex_value(conf.cache_bypass, ctx)
        core.log.info("proxy-cache cache bypass value:", value)
        if util.is_set(value) then
            return "BYPASS"
        end
    end
    return conf.cache_control and (control["no-store"] or control["no-cache"]) and "BYPASS" or nil
end

local function sets_cookie(headers)
    for name, value in pairs(headers) do
        if lower(name) == "set-cookie" and value ~= "" then
            return true
        end
    end
    return false
end

local function may_keep(conf, ctx, control, headers)
    if not util.match_status(conf) then
        return false
    elseif conf.no_cache then
        local value = util.generate_complex_value(conf.no_cache, ctx)
        core.log.info("proxy-cache no-cache value:", value)
        if util.is_set(value) then
            return false
        end
    end
    if control["private"] or control["no-store"] or control["no-cache"] then
        return false -- whatever conf says: the upstream means one recipient
    elseif conf.cache_control and upstream_ttl(ctx, control) <= 0 then
        return false
    elseif not conf.cache_set_cookie and sets_cookie(headers) then
        return false
    end
    return variants.parse_vary(ctx.var.upstream_http_vary) ~= nil
end

local function purge(store, base)
    if not variants.is_known(store, base) then
        return 404
    end
    variants.purge_all(store, base)
    return 200
end

-- Is the entry too old, for the client or by itself?
local function is_stale(conf, control, entry)
    local age = now() - entry.timestamp
    if not conf.cache_control then
        return age > entry.ttl
    end
    local max_age, max_stale, min_fresh = control["max-age"], control["max-stale"], control["min-fresh"]
    return tonumber(max_age) and age > max_age
        or tonumber(max_stale) and age - entry.ttl > max_stale
        or tonumber(min_fresh) and entry.ttl - age < min_fresh
end

local function give(conf, entry)
    for name, value in pairs(entry.headers) do
        local key = lower(name)
        if conf.hide_cache_headers and OF_CACHES[key] then
            set_header(name, "")
        elseif not NOT_GIVEN[key] and not find(key, "ratelimit-remaining", 1, true) then
            set_header(name, value)
        end
    end
    set_header("Age", floor(now() - entry.timestamp))
    set_header(STATUS, "HIT")
    return entry.status, entry.body
end

-- There is no entry to give. Returns a status to answer with, or nil.
local function on_no_entry(conf, control, err)
    if err == "expired" then
        return set_header(STATUS, "EXPIRED")
    end
    set_header(STATUS, "MISS")
    if err ~= "not found" then
        core.log.error("failed to get from cache, err: ", err)
    elseif conf.cache_control and control["only-if-cached"] then
        return 504
    end
end

function _M.access(conf, ctx)
    local control = directives(ctx.var.http_cache_control)
    local is_purge = ctx.var.request_method == "PURGE"
    local fault = not is_purge and request_fault(conf, ctx, control)
    if fault then
        return set_header(STATUS, fault)
    end
    local store, base = memory.new({ shdict_name = conf.cache_zone }), ctx.var.upstream_cache_key
    if is_purge then
        return purge(store, base)
    end
    ctx.cache = { memory = store, hit = false, ttl = 0 }
    local entry, err = store:get(variants.lookup_key(store, base, ctx))
    if not entry then
        return on_no_entry(conf, control, err)
    elseif entry.version ~= variants.VERSION then
        core.log.warn("cache format mismatch, purging ", base)
        set_header(STATUS, "BYPASS")
        return variants.purge_all(store, base)
    elseif is_stale(conf, control, entry) then
        return set_header(STATUS, "STALE")
    end
    ctx.cache.hit = true
    return give(conf, entry)
end

function _M.header_filter(conf, ctx)
    local cache = ctx.cache
    if not cache or cache.hit then
        return
    end
    local headers = ngx.resp.get_headers(0, true)
    if conf.hide_cache_headers then
        for name in pairs(headers) do
            if OF_CACHES[lower(name)] then
                set_header(name, "")
            end
        end
    end
    local control = directives(ctx.var.upstream_http_cache_control)
    if may_keep(conf, ctx, control, headers) then
        cache.headers = headers
        cache.ttl = conf.cache_control and upstream_ttl(ctx, control) or conf.cache_ttl
    else
        ctx.cache = nil
    end
end

function _M.body_filter(conf, ctx)
    local cache = ctx.cache
    if not cache or cache.hit then
        return
    end
    local body = core.response.hold_body_chunk(ctx, true, conf.max_resp_body_size)
    if not body then
        return
    elseif #body >= conf.max_resp_body_size then -- all of it was not held
        ctx.cache = nil
        return
    end
    local names = variants.parse_vary(ctx.var.upstream_http_vary) or {}
    local key = variants.store_key(cache.memory, ctx.var.upstream_cache_key, names, ctx, cache.ttl)
    local ok, err = cache.memory:set(key, {
        status = ngx.status, headers = cache.headers, body = body, body_len = #body, ttl = cache.ttl,
        timestamp = now(), version = variants.VERSION,
    }, cache.ttl)
    if not ok then
        core.log.error("failed to set cache, err: ", err)
    end
end

return _M
