-- Owns logging with a level: core.log.error(…), .warn(…), … write through ngx.log; a level that error_log
-- leaves out becomes a function that does nothing, made at its first use. Must never load other modules
-- of apisix: all of them load this one. Mirrors apisix.core.log.
local errlog = require "ngx.errlog"

local ngx = ngx
local select = select
local setmetatable = setmetatable
local tostring = tostring
local type = type
local unpack = unpack

local LEVELS = {
    stderr = ngx.STDERR,
    emerg = ngx.EMERG,
    alert = ngx.ALERT,
    crit = ngx.CRIT,
    error = ngx.ERR,
    warn = ngx.WARN,
    notice = ngx.NOTICE,
    info = ngx.INFO,
    debug = ngx.DEBUG,
}

local function silent() end

-- The tail calls keep the caller's file and line in the log.
local function writer(level, prefix)
    if prefix == nil then
        return function(...)
            return ngx.log(level, ...)
        end
    end
    return function(...)
        return ngx.log(level, prefix, ...)
    end
end

-- In init the level of error_log is not in force yet: everything is written, and nothing remembered.
local function level_functions(prefix)
    return function(self, name)
        local level = LEVELS[name]
        if not level then
            return nil
        end
        if ngx.get_phase() == "init" then
            return writer(level, prefix)
        end
        local limit = errlog.get_sys_filter_level()
        local method = limit and level > limit and silent or writer(level, prefix)
        self[name] = method
        return method
    end
end

local _M = setmetatable({ version = 0.4 }, { __index = level_functions() })

-- Returns the same functions with a prefix before every message.
function _M.new(prefix)
    return setmetatable({ version = _M.version }, { __index = level_functions(prefix) })
end

-- One object for all calls, as a message is written before the next one is made. ngx.log may ask for
-- its text twice.
local delayed = setmetatable({}, {
    __tostring = function(self)
        if self.func then
            local result, err = self.func(unpack(self.args, 1, self.args.n))
            if err then
                ngx.log(ngx.WARN, "failed to exec: ", err)
            end
            self.func, self.args = nil, nil
            self.text = type(result) == "string" and result or tostring(result)
        end
        return self.text
    end,
})

-- For core.log.LEVEL(…, core.log.delay_exec(func, …)) alone: func(…) runs when the line is written, so not
-- at all when the level is off; its result is the text, its second result an error to warn of.
function _M.delay_exec(func, ...)
    delayed.func = func
    delayed.args = { n = select("#", ...), ... }
    delayed.text = ""
    return delayed
end

return _M
