-- Owns the application (the table that its file returned) and the running of one phase of a request.
local _M = {
    app = {},
    global = "init", -- the phase outside of requests: init, init_worker, exit_worker
    strict = false, -- are OpenResty's restrictions of what may be called in which phase in force?
}

-- Run the handler for phase `name` of request r's location, if it has one. Returns what that returns.
function _M.run(r, name)
    local handler = r.location[name]
    if handler then
        local outer = r.phase
        r.phase = name
        local result = handler()
        r.phase = outer
        return result
    end
end

return _M
