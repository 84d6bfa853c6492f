-- Owns table helpers; everything of Lua's table library is reachable through it too.
-- Mirrors apisix.core.table.
local ngx_re = require "ngx.re"
local clear = require "table.clear"
local clone = require "table.clone"
local isarray = require "table.isarray"
local isempty = require "table.isempty"
local new_tab = require "table.new"
local nkeys = require "table.nkeys"

local ngx_null = ngx.null
local getmetatable = getmetatable
local ipairs = ipairs
local newproxy = newproxy
local pairs = pairs
local select = select
local setmetatable = setmetatable
local str_sub = string.sub
local tostring = tostring
local type = type

local _M = {
    version = 0.2,
    new = new_tab,
    clear = clear,
    nkeys = nkeys,
    insert = table.insert,
    concat = table.concat,
    sort = table.sort,
    clone = clone,
    isarray = isarray,
    isempty = isempty,
}
setmetatable(_M, { __index = table })

-- Appends the arguments. Returns the new length.
function _M.insert_tail(tab, ...)
    local length = #tab
    for i = 1, select("#", ...) do
        length = length + 1
        tab[length] = (select(i, ...))
    end
    return length
end

-- Writes the arguments over tab[1], tab[2], …
function _M.set(tab, ...)
    for i = 1, select("#", ...) do
        tab[i] = (select(i, ...))
    end
end

-- tab[a][b]…, or nil as soon as something on the way is no table.
function _M.try_read_attr(tab, ...)
    for i = 1, select("#", ...) do
        if type(tab) ~= "table" then
            return nil
        end
        tab = tab[(select(i, ...))]
    end
    return tab
end

-- Returns the index of val in array, or nil (also when array is no table).
local function array_find(array, val)
    if type(array) ~= "table" then
        return nil
    end
    for i, each in ipairs(array) do
        if each == val then
            return i
        end
    end
    return nil
end
_M.array_find = array_find

-- setmetatable(t, mt) that also honours mt.__gc, which Lua 5.1 does for userdata only.
function _M.setmt__gc(t, mt)
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function()
        mt.__gc(t)
    end
    t[proxy] = true
    return setmetatable(t, mt)
end

local function is_shallow(opts, parent, path)
    if array_find(opts.shallows, path) then
        return true
    end
    local prefix = opts.shallow_prefix
    return prefix and (parent == prefix or str_sub(parent, 1, #prefix + 1) == prefix .. ".")
end

local function copy_table(orig, copied, parent, opts)
    local length = #orig
    local copy = new_tab(length, nkeys(orig) - length)
    copied[orig] = copy
    for key, value in pairs(orig) do
        if type(value) == "table" then
            local path = opts and parent .. "." .. tostring(key)
            if not (opts and is_shallow(opts, parent, path)) then
                value = copied[value] or copy_table(value, copied, path, opts)
            end
        end
        copy[key] = value
    end
    return setmetatable(copy, getmetatable(orig))
end

-- Copies a table with its descendants; shared and cyclic ones stay shared and cyclic, metatables are
-- kept. opts.shallows: paths, written "self.a.b", whose values are not copied but shared;
-- opts.shallow_prefix: path of a table whose members are shared. What is no table is returned as is.
function _M.deepcopy(orig, opts)
    if type(orig) ~= "table" then
        return orig
    end
    return copy_table(orig, {}, "self", opts)
end

-- Merges extend into origin, recursively for objects; arrays are replaced, ngx.null deletes a key.
-- Returns origin.
local function merge(origin, extend)
    for key, value in pairs(extend) do
        local old = origin[key]
        if value == ngx_null then
            origin[key] = nil
        elseif type(value) == "table" and type(old) == "table"
            and not isarray(old) and not isarray(value) then
            merge(old, value)
        else
            origin[key] = value
        end
    end
    return origin
end
_M.merge = merge

-- Puts conf at sub_path ("a/b/c", made where absent) of node_value; an empty last name replaces the
-- whole. Returns nil, nil, node_value, or 400, message.
function _M.patch(node_value, sub_path, conf)
    local names = ngx_re.split(sub_path, "/")
    local count = #names
    local node = node_value
    for i = 1, count - 1 do
        local name = names[i]
        if node[name] == nil then
            node[name] = {}
        end
        node = node[name]
        if type(node) ~= "table" then
            return 400, "invalid sub-path: /" .. _M.concat(names, "/", 1, i)
        end
    end
    if type(node) ~= "table" then
        return 400, "invalid sub-path: /" .. sub_path
    end

    local last = names[count]
    if last and last ~= "" then
        node[last] = conf
    else
        node_value = conf
    end
    return nil, nil, node_value
end

-- Whether two tables have the same keys.
function _M.set_eq(a, b)
    if nkeys(a) ~= nkeys(b) then
        return false
    end
    for key in pairs(a) do
        if b[key] == nil then
            return false
        end
    end
    return true
end

-- Whether two values, with their descendants, are equal.
local function deep_eq(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    if nkeys(a) ~= nkeys(b) then
        return false
    end
    for key, value in pairs(a) do
        if not deep_eq(value, b[key]) then
            return false
        end
    end
    return true
end
_M.deep_eq = deep_eq

-- A table of the keys of obj that attrs has.
function _M.pick(obj, attrs)
    local picked = {}
    for key, value in pairs(obj) do
        if attrs[key] ~= nil then
            picked[key] = value
        end
    end
    return picked
end

return _M
