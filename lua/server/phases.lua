-- Owns the application (a table of phase handlers) and the running of one phase of it.
local _M = {
    app = {},
    global = "init", -- the phase outside of requests: init, init_worker, exit_worker
}

-- Run the application's handler for phase `name` on request r, if it has one.
function _M.run(r, name)
    local handler = _M.app[name]
    if handler then
        local outer = r.phase
        r.phase = name
        handler()
        r.phase = outer
    end
end

return _M
