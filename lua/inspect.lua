-- Owns the module `inspect`: values written as people read them. Source: the documentation of inspect.lua 3.1.
-- Must never call a metamethod of what it shows.
local buffers = require "string.buffer"

local floor, huge = math.floor, math.huge
local format, gsub, find, match, rep = string.format, string.gsub, string.find, string.match, string.rep
local getmetatable, next, rawget, setmetatable = getmetatable, next, rawget, setmetatable
local sort = table.sort
local tostring, type, unpack = tostring, type, unpack

local function mark(name)
    return setmetatable({}, { __tostring = function() return "inspect." .. name end })
end

-- KEY and METATABLE stand in the paths that `process` gets.
local _M = { _VERSION = "inspect.lua 3.1.0", KEY = mark("KEY"), METATABLE = mark("METATABLE") }

local SHORT = {
    ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
    ["\r"] = "\\r", ["\t"] = "\\t", ["\v"] = "\\v", ["\127"] = "\\127",
}
local LONG = { ["\127"] = "\127" } -- before a digit
for i = 0, 31 do
    local c = string.char(i)
    if not SHORT[c] then
        SHORT[c], LONG[c] = "\\" .. i, format("\\%03d", i)
    end
end

local function quote(text)
    text = gsub(gsub(gsub(text, "\\", "\\\\"), "(%c)%f[0-9]", LONG), "%c", SHORT)
    if find(text, '"', 1, true) and not find(text, "'", 1, true) then
        return "'" .. text .. "'"
    end
    return '"' .. gsub(text, '"', '\\"') .. '"'
end

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
    until while]]):gmatch("%a+") do
    KEYWORDS[word] = true
end

local function is_name(key)
    return type(key) == "string" and match(key, "^[_%a][_%w]*$") and not KEYWORDS[key]
end

local ORDER = {
    number = 1, boolean = 2, string = 3, table = 4, ["function"] = 5, userdata = 6, thread = 7,
}

local function before(a, b)
    local ta, tb = type(a), type(b)
    if ta == tb and (ta == "string" or ta == "number") then
        return a < b
    end
    local oa, ob = ORDER[ta] or 100, ORDER[tb] or 100
    return oa == ob and ta < tb or oa < ob
end

-- The keys of a table that are not of its sequence, in order, and the sequence's length.
local function keys_of(value)
    local length = 0
    while rawget(value, length + 1) ~= nil do
        length = length + 1
    end
    local keys = {}
    for key in next, value do
        if not (type(key) == "number" and floor(key) == key and key >= 1 and key <= length) then
            keys[#keys + 1] = key
        end
    end
    sort(keys, before)
    return keys, length
end

local function count(value, seen, depth)
    if type(value) ~= "table" then
        return
    elseif seen[value] then
        seen[value] = seen[value] + 1
        return
    end
    seen[value] = 1
    if depth > 0 then
        for key, each in next, value do
            count(key, seen, depth - 1)
            count(each, seen, depth - 1)
        end
        count(getmetatable(value), seen, depth - 1)
    end
end

local function path_with(path, ...)
    local longer = { unpack(path) }
    for _, step in next, { ... } do
        longer[#longer + 1] = step
    end
    return longer
end

-- A copy of value in which each part is what process(part, path) makes of it; nil leaves it out.
local function processed(process, value, path, seen)
    if value == nil then
        return nil
    elseif seen[value] ~= nil then
        return seen[value]
    end
    local made = process(value, path)
    if type(made) ~= "table" then
        return made
    end
    local copy = {}
    seen[value] = copy
    for key, each in next, made do
        local own_key = processed(process, key, path_with(path, key, _M.KEY), seen)
        if own_key ~= nil then
            copy[own_key] = processed(process, each, path_with(path, own_key), seen)
        end
    end
    local meta = processed(process, getmetatable(made), path_with(path, _M.METATABLE), seen)
    return setmetatable(copy, type(meta) == "table" and meta or nil)
end

local Writer = {}
Writer.__index = Writer

function Writer:id_of(value)
    local kind, ids = type(value), self.ids
    if not ids[value] then
        self.counts[kind] = (self.counts[kind] or 0) + 1
        ids[value] = self.counts[kind]
    end
    return ids[value]
end

function Writer:line()
    self.out:put(self.newline, rep(self.indent, self.level))
end

function Writer:put_key(key)
    if is_name(key) then
        self.out:put(key)
    else
        self.out:put("[")
        self:put(key)
        self.out:put("]")
    end
    self.out:put(" = ")
end

function Writer:put_table(value)
    local out = self.out
    if self.seen[value] and self.seen[value] > 1 then
        out:put("<", self:id_of(value), ">")
    end
    local keys, length = keys_of(value)
    local meta = getmetatable(value)
    meta = type(meta) == "table" and meta or nil
    out:put("{")
    self.level = self.level + 1
    for i = 1, length do
        out:put(i > 1 and ", " or " ")
        self:put(rawget(value, i))
    end
    for i, key in next, keys do
        out:put((length > 0 or i > 1) and "," or "")
        self:line()
        self:put_key(key)
        self:put(rawget(value, key))
    end
    if meta then
        out:put((length > 0 or #keys > 0) and "," or "")
        self:line()
        out:put("<metatable> = ")
        self:put(meta)
    end
    self.level = self.level - 1
    if #keys > 0 or meta then
        self:line()
    elseif length > 0 then
        out:put(" ")
    end
    out:put("}")
end

function Writer:put(value)
    local kind = type(value)
    if kind == "string" then
        self.out:put(quote(value))
    elseif kind == "number" or kind == "boolean" or kind == "nil" or kind == "cdata"
        or value == _M.KEY or value == _M.METATABLE then
        self.out:put(tostring(value))
    elseif kind ~= "table" or self.ids[value] then
        self.out:put("<", kind, " ", self:id_of(value), ">")
    elseif self.level >= self.depth then
        self.out:put("{...}")
    else
        self:put_table(value)
    end
end

-- Write a value. options: {depth: how many tables deep (all), newline ("\n"), indent ("  "), process: see above}.
function _M.inspect(value, options)
    options = options or {}
    local depth = options.depth or huge
    if options.process then
        value = processed(options.process, value, {}, {})
    end
    local seen = {}
    count(value, seen, depth)
    local writer = setmetatable({
        out = buffers.new(), ids = {}, counts = {}, seen = seen, depth = depth, level = 0,
        newline = options.newline or "\n", indent = options.indent or "  ",
    }, Writer)
    writer:put(value)
    return writer.out:tostring()
end

return setmetatable(_M, {
    __call = function(_, value, options)
        return _M.inspect(value, options)
    end,
})
