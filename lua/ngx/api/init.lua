-- Owns the building of the global `ngx`: the table of contents of its families.
local FAMILIES = {
    "constants", "string", "base64", "digest", "time", "args", "regex", "shdict", "var", "req", "resp", "output",
    "ending", "arg", "exec", "location", "abort", "phase", "log", "timer", "sleep", "thread", "worker",
    "worker_thread", "ndk", "socket",
}

local function merge(into, family)
    for name, value in pairs(family) do
        if type(value) == "table" and type(into[name]) == "table" then
            for k, v in pairs(value) do
                into[name][k] = v
            end
        else
            into[name] = value
        end
    end
end

if not ngx then
    ngx = {}
    for _, name in ipairs(FAMILIES) do
        merge(ngx, require("ngx.api." .. name))
    end
    require("ngx.api.fields").install(ngx)
    require "ngx.api.coroutine"
    require "server.nginx_symbols"
    package.loaded.ngx, package.loaded.ndk = ngx, ndk -- as modules, too, as ngx_lua has them
end

return ngx
