-- Owns the fields of `ngx` that are computed for the running request: ctx, status, headers_sent,
-- is_subrequest. They hang on the metatable of `ngx`, so that its plain functions pay nothing for them.
local new_tab = require "table.new"
local current = require "server.current"
local running = require "ngx.api.running"
local set_status = require "ngx.api.resp_status"

local error, rawset, setmetatable, type = error, rawset, setmetatable, type

local _M = {}

local outside = {} -- init and init_worker share one

-- Make ctx that of r. What a connection's handshake has put into its own shows through in each of its requests.
local function new_ctx(r, ctx)
    local conn = r.conn
    if r.stage == "ssl" then
        conn.ssl_ctx = { __index = ctx }
    elseif conn and conn.ssl_ctx then
        setmetatable(ctx, conn.ssl_ctx)
    end
    r.ctx = ctx
    return ctx
end

-- Install the accessors of ngx.ctx, ngx.status, ngx.headers_sent and ngx.is_subrequest on the table ngx.
function _M.install(ngx)
    local getters, setters = {}, {} -- called in tail position: their caller is the user's code

    function getters.ctx()
        local r = current.request
        if not r then
            return outside
        end
        return r.ctx or new_ctx(r, new_tab(0, 4))
    end

    function setters.ctx(value)
        if type(value) ~= "table" then
            error("ctx should be a table while getting a " .. type(value), 2)
        end
        local r = current.request
        if not r then
            outside = value
        elseif r.stage == "ssl" then
            new_ctx(r, value)
        else
            r.ctx = value
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
