-- Owns query strings of net.url: text to table and back, with brackets in names as PHP has them.
-- Must never know of the rest of a URL.
local codec = require "net.url.codec"

local options = codec.options
local decode_query, encode = codec.decode_query, codec.encode
local concat, sort = table.concat, table.sort
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local pairs, setmetatable, tonumber, tostring, type = pairs, setmetatable, tonumber, tostring, type

local _M = {}

-- "arr[3][x]" -> "arr", {3, "x"}; what follows the first bracket pair is dropped from the name.
local function split_name(text)
    local path = {}
    local name = gsub(decode_query(text), "%[([^%]]*)%]", function(part)
        path[#path + 1] = find(part, "^-?%d+$") and tonumber(part) or decode_query(part)
        return "="
    end)
    name = gsub(name, "=.*$", "")
    return gsub(name, "%s", "_"), path
end

-- Put a value at the end of a path of keys; "" appends. A scalar on the way keeps the value out.
local function put(into, path, value)
    for i = 1, #path do
        if type(into) ~= "table" then
            return
        end
        local key = path[i]
        if key == "" then
            key = #into + 1
        end
        if i == #path then
            into[key] = value
        else
            into[key] = into[key] or {}
        end
        into = into[key]
    end
end

-- A parameter without brackets: the first one counts, unless parameters are cumulative.
local function put_plain(values, name, value)
    local present = values[name]
    if present == nil or (type(present) == "table" and not options.cumulative_parameters) then
        values[name] = value
    elseif options.cumulative_parameters then
        if type(present) ~= "table" then
            present = { present }
            values[name] = present
        end
        present[#present + 1] = value
    end
end

-- "a=1&b[x]=2" -> {a = "1", b = {x = "2"}}, whose tostring builds the string again.
-- sep: the separator, by default the option's.
function _M.parse(text, sep)
    sep = sep or options.separator or "&"
    local values = {}
    for raw_name, raw_value in gmatch(text, format("([^%s=]+)(=*[^%s]*)", sep, sep)) do
        local name, path = split_name(raw_name)
        local value = gsub(raw_value, "^=+", "")
        if #path == 0 then
            put_plain(values, name, decode_query(value))
        else
            if type(values[name]) ~= "table" then
                values[name] = {}
            end
            put(values[name], path, value)
        end
    end
    return setmetatable(values, { __tostring = _M.build })
end

-- Numbers before a dot sort by value.
local function sort_key(name)
    return (gsub(tostring(name), "(%d+)(%.)", function(digits, dot)
        return format("%03d", tonumber(digits)) .. dot
    end))
end

local function sorted_names(values)
    local names = {}
    for name in pairs(values) do
        names[#names + 1] = name
    end
    sort(names, function(a, b)
        return sort_key(a) < sort_key(b)
    end)
    return names
end

local function full_name(parent, name)
    if not parent then
        return name
    end
    if options.cumulative_parameters and find(name, "^%d+$") then
        return parent
    end
    return parent .. "[" .. name .. "]"
end

-- The string of a table of parameters, sorted by name. parent: the name they stand under, if any.
function _M.build(values, sep, parent)
    sep = sep or options.separator or "&"
    local parts = {}
    for _, key in pairs(sorted_names(values)) do
        local name = full_name(parent, encode(tostring(key), codec.legal_in_name))
        local value = values[key]
        if type(value) == "table" then
            parts[#parts + 1] = _M.build(value, sep, name)
        else
            value = encode(tostring(value), options.legal_in_query)
            parts[#parts + 1] = value == "" and name or name .. "=" .. value
        end
    end
    return concat(parts, sep)
end

return _M
