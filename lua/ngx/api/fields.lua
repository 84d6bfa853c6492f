-- Owns the fields of `ngx` that are computed for the running request: ctx, status, headers_sent,
-- is_subrequest. They hang on the metatable of `ngx`, so that its plain functions pay nothing for them.
local new_tab = require "table.new"
local current = require "server.current"
local set_status = require "ngx.api.resp_status"

local rawset = rawset
local error = error

local _M = {}

local outside = {} -- init and init_worker share one

-- Install the accessors of ngx.ctx, ngx.status, ngx.headers_sent and ngx.is_subrequest on the table ngx.
function _M.install(ngx)
    local getters, setters = {}, {}

    function getters.ctx()
        local r = current.request
        if not r then
            return outside
        end
        local ctx = r.ctx
        if not ctx then
            ctx = new_tab(0, 4)
            r.ctx = ctx
        end
        return ctx
    end

    function setters.ctx(value)
        local r = current.request
        if r then
            r.ctx = value
        else
            outside = value
        end
    end

    function getters.status()
        local r = current.request
        if not r or not r.method then
            error("API disabled in the current context", 3)
        end
        return r.status
    end

    function setters.status(value)
        return set_status(value, nil, 3)
    end

    function getters.headers_sent()
        local r = current.request
        if not r or not r.method then
            error("API disabled in the current context", 3)
        end
        return r.header_sent
    end

    function getters.is_subrequest()
        local r = current.request
        if not r or not r.method then
            error("API disabled in the current context", 3)
        end
        return r.parent ~= nil
    end

    setmetatable(ngx, {
        __index = function(_, name)
            local getter = getters[name]
            if getter then
                return getter()
            end
            return nil
        end,
        __newindex = function(self, name, value)
            local setter = setters[name]
            if setter then
                return setter(value)
            end
            return rawset(self, name, value)
        end,
    })
end

return _M
