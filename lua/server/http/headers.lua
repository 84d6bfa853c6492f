-- Owns the header fields of one message, in order, duplicates kept: triples (lower-cased name, name
-- as written, value) in the array part. Headers are few, so a scan over interned strings beats a hash.
local log = require "server.log"
local new_tab = require "table.new"
local setmetatable = setmetatable
local lower_string, find, gsub = string.lower, string.find, string.gsub
local tostring, type, rawget = tostring, type, rawget

local Headers = {}
Headers.__index = Headers

local _M = {}

-- Lower-cased names met so far: most requests bring the same ones. Bounded, names come from outside.
local LOWER_MAX = 2000
local lower_names, lower_count = {}, 0

local function lower(name)
    local found = lower_names[name]
    if found then
        return found
    end
    found = lower_string(name)
    if lower_count < LOWER_MAX then
        lower_count = lower_count + 1
        lower_names[name] = found
    end
    return found
end
_M.lower = lower

-- An empty set of fields. n: the index of the last used slot.
function _M.new()
    local headers = new_tab(60, 2) -- n, and the size that a response's head has
    headers.n = 0
    return setmetatable(headers, Headers)
end

-- The first value of a field, by its lower-cased name, or nil.
function Headers:get(key)
    for i = 1, self.n, 3 do
        if self[i] == key then
            return self[i + 2]
        end
    end
    return nil
end

-- All values of a field as an array (empty when there is none).
function Headers:get_all(key)
    local values = {}
    for i = 1, self.n, 3 do
        if self[i] == key then
            values[#values + 1] = self[i + 2]
        end
    end
    return values
end

-- The values of a field joined as a list field is ("a, b"), or nil.
function Headers:joined(key, separator)
    local value
    for i = 1, self.n, 3 do
        if self[i] == key then
            value = value and value .. (separator or ", ") .. self[i + 2] or self[i + 2]
        end
    end
    return value
end

-- Append a field. key: its lower-cased name.
function Headers:add(key, name, value)
    local n = self.n
    self[n + 1], self[n + 2], self[n + 3] = key, name, value
    self.n = n + 3
end

-- Remove the fields of that name from index `from` on.
local function remove_rest(self, key, from)
    local kept = from - 1
    local n = self.n
    for i = from, n, 3 do
        if self[i] ~= key then
            if kept ~= i - 1 then
                self[kept + 1], self[kept + 2], self[kept + 3] = self[i], self[i + 1], self[i + 2]
            end
            kept = kept + 3
        end
    end
    self.n = kept
end

-- Replace all fields of that name by one, in the first one's place; the name stays as that one had it,
-- unless rename.
function Headers:set(key, name, value, rename)
    local n = self.n
    for i = 1, n, 3 do
        if self[i] == key then
            if rename then
                self[i + 1] = name
            end
            self[i + 2] = value
            if i + 2 < n then
                return remove_rest(self, key, i + 3)
            end
            return
        end
    end
    return self:add(key, name, value)
end

-- Remove all fields of that lower-cased name.
function Headers:remove(key)
    return remove_rest(self, key, 1)
end

-- Names folded so far: lower case, "-" for "_". Bounded, as above.
local folded_names, folded_count = {}, 0

local function fold(name)
    local folded = folded_names[name]
    if not folded then
        folded = gsub(lower_string(name), "_", "-")
        if folded_count < LOWER_MAX then
            folded_count = folded_count + 1
            folded_names[name] = folded
        end
    end
    return folded
end

-- A metatable: look-up in any case, with "_" for "-".
local FOLDING = {
    __index = function(self, key)
        if type(key) ~= "string" then
            key = tostring(key)
        end
        local value = rawget(self, lower(key))
        if value == nil then
            return rawget(self, fold(key))
        end
        return value
    end,
}

_M.FOLDING = FOLDING

-- Put a field into a table of fields, as ngx_lua does: a repeated one becomes an array of its values.
local function put(into, key, value)
    local present = into[key]
    if present == nil then
        into[key] = value
    elseif type(present) == "table" then
        present[#present + 1] = value
    else
        into[key] = { present, value }
    end
end
_M.put = put

-- The fields as ngx.req.get_headers() gives them: name -> value, or an array of values for a repeated
-- one; look-up folds case and "_" unless raw. Second: "truncated" when there are more than max (0: no limit).
function Headers:to_table(max, raw)
    max = max and max >= 0 and max or 100
    local n = self.n
    local truncated = max > 0 and n > 3 * max
    if truncated then
        log.debug("lua exceeding request header limit ", n / 3, " > ", max)
        n = 3 * max
    end
    local result = new_tab(0, n / 3)
    for i = 1, n, 3 do
        put(result, raw and self[i + 1] or self[i], self[i + 2])
    end
    if not raw then
        setmetatable(result, FOLDING)
    end
    if truncated then
        return result, "truncated"
    end
    return result
end

local function percent(c)
    return ("%%%02X"):format(c:byte())
end

local names, names_n = {}, 0

-- A name as it may stand in a field: the bytes that no token may have are escaped (ngx_lua does so too).
function _M.clean_name(name)
    local known = names[name]
    if not known then
        known = gsub(tostring(name), "[^%w!#%$%%&'%*%+%-%.%^_`|~]", percent)
        if names_n < LOWER_MAX then
            names_n = names_n + 1
            names[name] = known
        end
    end
    return known
end

local values, values_n = {}, 0
local LONG = 256 -- what is longer is not kept
local CONTROLS = "[%z\1-\8\10-\31\127]" -- but for the tab

-- A value as it may stand in a field: text, its controls escaped but for the tab, so that it stays one line.
function _M.clean(value)
    local kind = type(value)
    if kind == "number" then
        return tostring(value)
    elseif kind ~= "string" then
        value = tostring(value)
    end
    local known = values[value]
    if known then
        return known
    end
    known = value
    if find(value, CONTROLS) then
        known = gsub(value, CONTROLS, percent)
    end
    if values_n == LOWER_MAX then
        values, values_n = {}, 0
    end
    if #value <= LONG then
        values[value] = known
        values_n = values_n + 1
    end
    return known
end

return _M
