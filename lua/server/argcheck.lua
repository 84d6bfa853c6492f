-- Owns the errors that a wrong argument of a Lua-visible function raises, in the words of Lua's own C functions.
-- Source: luaL_argerror, luaL_checktype and luaL_checkinteger of the Lua 5.1 manual.
local error, tonumber, type = error, tonumber, type
local getinfo = debug.getinfo

local _M = {}

-- Raise "bad argument #index to 'name' (message)" for the public function that runs `level` calls above the
-- caller (1: the caller itself). index counts self; called as a method, self is not counted in the text.
function _M.fail(level, index, message)
    local info = getinfo(level + 1, "n")
    local name = info.name or "?"
    if info.namewhat == "method" then
        index = index - 1
        if index == 0 then
            error("calling '" .. name .. "' on bad self (" .. message .. ")", level + 2)
        end
    end
    error("bad argument #" .. index .. " to '" .. name .. "' (" .. message .. ")", level + 2)
end

-- The name of a value's type as luaL_typename gives it. n: how many arguments there are, index: which it is.
local function type_name(value, index, n)
    return n and index > n and "no value" or type(value)
end

-- Raise unless value, argument `index` of `n`, is a table.
function _M.check_table(level, index, value, n)
    if type(value) ~= "table" then
        _M.fail(level + 1, index, "table expected, got " .. type_name(value, index, n))
    end
end

-- The string that argument `index` of `n` is (a number counts as one); raises when it is something else.
function _M.check_string(level, index, value, n)
    local kind = type(value)
    if kind == "string" then
        return value
    elseif kind == "number" then
        return value .. ""
    end
    _M.fail(level + 1, index, "string expected, got " .. type_name(value, index, n))
end

-- The whole number that argument `index` of `n` is; raises when it is none.
function _M.check_integer(level, index, value, n)
    local kind = type(value)
    local number = (kind == "number" or kind == "string") and tonumber(value)
    if not number then
        _M.fail(level + 1, index, "number expected, got " .. type_name(value, index, n))
    end
    return number - number % 1
end

return _M
