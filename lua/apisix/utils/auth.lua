-- Owns what authentication plugins share. Mirrors apisix.utils.auth.
local _M = {}

-- Whether the plugin runs because multi-auth called it.
function _M.is_running_under_multi_auth(ctx)
    return ctx._plugin_name == "multi-auth"
end

return _M
