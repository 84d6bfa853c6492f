-- Owns the disk strategy of proxy-cache: it tells the server's own cache by variables what to do.
local core = require "apisix.core"
local util = require "apisix.plugins.proxy-cache.util"

local match = string.match
local remove = os.remove

local _M = {}

-- Remove the response of the request's key. Returns the status to answer with.
local function purge(ctx)
    local var = ctx.var
    local path, levels = match(var.upstream_cache_zone_info or "", "^(.*),(.*)$")
    local file = path and util.generate_cache_filename(path, levels, var.upstream_cache_key)
    if not file or not util.file_exists(file) then
        return 404
    end
    remove(file)
    return 200
end

function _M.access(conf, ctx)
    local var = ctx.var
    var.upstream_cache_zone = conf.cache_zone
    if var.request_method == "PURGE" then
        return purge(ctx)
    end
    if conf.cache_bypass then
        local value = util.generate_complex_value(conf.cache_bypass, ctx)
        var.upstream_cache_bypass = value
        core.log.info("proxy-cache cache bypass value:", value)
    end
    if not util.match_method(conf, ctx) then
        var.upstream_cache_bypass = "1"
        core.log.info("proxy-cache cache bypass method: ", var.request_method)
    end
end

local function is_unwanted(conf, ctx)
    if not util.match_method(conf, ctx) or not util.match_status(conf) then
        return true
    elseif not conf.no_cache then
        return false
    end
    local value = util.generate_complex_value(conf.no_cache, ctx)
    core.log.info("proxy-cache no-cache value:", value)
    return util.is_set(value)
end

function _M.header_filter(conf, ctx)
    local var = ctx.var
    local no_cache = is_unwanted(conf, ctx) and "1" or "0"
    local control, expires = var.upstream_http_cache_control, var.upstream_http_expires
    if conf.hide_cache_headers then
        control, expires = "", ""
    end
    core.response.set_header("Cache-Control", control, "Expires", expires,
        "Apisix-Cache-Status", var.upstream_cache_status)
    var.upstream_no_cache = no_cache
    core.log.info("proxy-cache no cache:", no_cache)
end

return _M
