-- Owns the facade of resty.core.misc: computed fields of `ngx` that libraries add.
local getmetatable = getmetatable

local _M = { _VERSION = require("resty.core.base").version }

local getters, setters = {}, {}
local installed = false

-- In front of the fields that are computed anyway.
local function install()
    installed = true
    local metatable = getmetatable(ngx)
    local index, newindex = metatable.__index, metatable.__newindex

    function metatable.__index(self, name)
        local getter = getters[name]
        if getter then
            return getter()
        end
        return index(self, name)
    end

    function metatable.__newindex(self, name, value)
        local setter = setters[name]
        if setter then
            return setter(value)
        end
        return newindex(self, name, value)
    end
end

local function registering(functions)
    return function(name, fn)
        if not installed then
            install()
        end
        functions[name] = fn
    end
end

-- Have ngx[name], which must not be a plain field, computed by fn(); have it set by fn(value).
_M.register_ngx_magic_key_getter = registering(getters)
_M.register_ngx_magic_key_setter = registering(setters)

return _M
