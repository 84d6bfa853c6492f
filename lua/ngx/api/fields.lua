-- Owns the fields of `ngx` that are computed for the running request: ctx, status, headers_sent,
-- is_subrequest. They hang on the metatable of `ngx`, so that its plain functions pay nothing for them.
local new_tab = require "table.new"
local current = require "server.current"
local running = require "ngx.api.running"
local set_status = require "ngx.api.resp_status"

local rawset = rawset

local _M = {}

local outside = {} -- init and init_worker share one

-- Install the accessors of ngx.ctx, ngx.status, ngx.headers_sent and ngx.is_subrequest on the table ngx.
function _M.install(ngx)
    local getters, setters = {}, {} -- called in tail position: their caller is the user's code

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
        return running(2).status
    end

    function setters.status(value)
        set_status(value, nil, 2)
    end

    function getters.headers_sent()
        return running(2).header_sent
    end

    function getters.is_subrequest()
        return running(2).parent ~= nil
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
