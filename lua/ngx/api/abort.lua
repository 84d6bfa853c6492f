-- Owns ngx.on_abort: what to run when the client goes away. Source: the ngx_lua documentation, "ngx.on_abort".
local abort = require "server.http.abort"
local contexts = require "server.contexts"
local current = require "server.current"

local error, type = error, type
local getinfo, running = debug.getinfo, coroutine.running

-- callback() is to run as a light thread when the client closes its connection while the present phase runs.
-- Returns 1, or nil and why not.
local function on_abort(callback)
    local r = current.request
    if not r then
        error(contexts.no_request("no request found"), 2)
    elseif not r.method then
        error(contexts.refusal(r), 2)
    elseif abort.callback_of(r) then
        return nil, "duplicate call"
    elseif not r.settings.check_client_abort then
        return nil, "lua_check_client_abort is off"
    elseif type(callback) ~= "function" or getinfo(callback, "S").what == "C" then
        error("bad argument #1 to 'on_abort' (Lua function expected)", 2)
    end
    r.abort = { stage = r.stage, fn = callback, parent = current.task, parent_co = running() }
    return 1
end

return { on_abort = on_abort }
