-- Owns the set of shared dictionaries (ngx.shared) and their declaration, which is what the directive
-- lua_shared_dict does. Must never be called while requests run: dictionaries are declared at start-up.
local list_methods = require "ngx.shdict.list_methods"
local methods = require "ngx.shdict.methods"
local region = require "ngx.shdict.region"

local error, pairs, setmetatable, type = error, pairs, setmetatable, type

local MIN_SIZE = 12288            -- below, nginx has no room for a dictionary's own state
local MAX_SIZE = 2 ^ 32           -- words are counted in 31 bits

local shared = {}
local metatable = {} -- its own __index, as ngx_lua's is: tests replace methods there
for _, family in pairs({ methods, list_methods }) do
    for name, method in pairs(family) do
        metatable[name] = method
    end
end
metatable.__index = metatable

local _M = { shared = shared }

local function check(name, size)
    if type(name) ~= "string" or name == "" then
        error('invalid lua shared dict name "' .. tostring(name) .. '"', 3)
    end
    if type(size) ~= "number" or size < MIN_SIZE then
        error('invalid lua shared dict size "' .. tostring(size) .. '" of "' .. name .. '": at least 12288 bytes', 3)
    end
    if size > MAX_SIZE then
        error('invalid lua shared dict size "' .. size .. '" of "' .. name .. '": at most 4 GiB', 3)
    end
end

local function add(name, found)
    shared[name] = setmetatable({ found }, metatable)
    return shared[name]
end

-- Make ngx.shared[name], of `size` bytes (12 KiB at least). fd: the file (memfd) of a dictionary that
-- processes share; without it, it is this Lua VM's own. Declaring it again with the same size keeps its contents;
-- with another size it is an error.
function _M.declare(name, size, fd)
    check(name, size)
    local dict = shared[name]
    if not dict then
        local found, err
        if fd then
            found, err = region.shared(name, size, fd)
        else
            found, err = region.private(name, size)
        end
        if not found then
            error('lua_shared_dict "' .. name .. '": ' .. err, 2)
        end
        return add(name, found)
    elseif dict:capacity() ~= size then
        error('lua_shared_dict "' .. name .. '" is already defined with size ' .. dict:capacity(), 2)
    end
    return dict
end

-- What another Lua VM of this process needs to have the same dictionaries: tables of plain values.
function _M.lend()
    local lent = {}
    for name, dict in pairs(shared) do
        lent[name] = region.lend(dict[1])
    end
    return lent
end

-- Have the dictionaries that another VM of this process has lent. number: which VM this one is, from 1 on.
function _M.borrow(lent, number)
    for name, each in pairs(lent) do
        add(name, region.borrow(name, each, number))
    end
end

return _M
