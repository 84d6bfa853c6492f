-- Owns events inside one worker: a type has at most one handler, the one registered last. Must never
-- cross to another worker. Mirrors apisix.core.event.
local _M = {
    CONST = { BUILD_ROUTER = 1 },
}

local handlers = {}

-- Calls the handler of `kind`, if there is one, with the other arguments.
function _M.push(kind, ...)
    local handler = handlers[kind]
    if handler then
        handler(...)
    end
end

function _M.register(kind, handler)
    handlers[kind] = handler
end

function _M.unregister(kind)
    handlers[kind] = nil
end

return _M
