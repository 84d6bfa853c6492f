-- Owns a route's "script": Lua source that returns a table of phase functions and runs in the place of
-- plugins. Mirrors apisix.script.
local error = error
local loadstring = loadstring

local _M = {}

-- Run the source of the route's script and keep what it returns in api_ctx.script_obj. Raises on bad source.
function _M.load(route, api_ctx)
    local source = route.value.script
    if source == nil or source == "" then
        error("missing valid script")
    end
    local chunk, err = loadstring(source, "route#" .. route.value.id)
    if not chunk then
        error("failed to load script: " .. err .. " script: " .. source)
    end
    api_ctx.script_obj = chunk()
end

-- Call the script's function for this phase, if it has one.
function _M.run(phase, api_ctx)
    local fn = api_ctx.script_obj[phase]
    if fn then
        fn(api_ctx)
    end
    return api_ctx
end

return _M
