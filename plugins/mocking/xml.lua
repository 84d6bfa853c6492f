-- Owns the writing of tables as XML, laid out as lua-xml2lua's toXml lays it out. Must never read XML.
local concat, sort = table.concat, table.sort
local gsub, rep = string.gsub, string.rep
local ipairs, next, pairs, tostring, type = ipairs, next, pairs, tostring, type

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function add(lines, level, line)
    lines[#lines + 1] = rep("  ", level) .. line
end

local function names_of(object)
    local names = {}
    for name in pairs(object) do
        names[#names + 1] = name
    end
    sort(names)
    return names
end

local write

local function write_object(lines, tag, object, level)
    add(lines, level, "<" .. tag .. ">")
    for _, name in ipairs(names_of(object)) do
        write(lines, name, object[name], level + 1)
    end
    add(lines, level, "</" .. tag .. ">")
end

local function write_text(lines, tag, text, level)
    if text == "" then
        return add(lines, level, "<" .. tag .. "/>")
    end
    add(lines, level, "<" .. tag .. ">" .. gsub(text, "[&<>]", ENTITIES) .. "</" .. tag .. ">")
end

-- An array is its items, each in an element of the array's name.
function write(lines, tag, value, level)
    if type(value) ~= "table" then
        return write_text(lines, tag, tostring(value), level)
    elseif next(value) == nil then
        return write_text(lines, tag, "", level)
    elseif value[1] == nil then
        return write_object(lines, tag, value, level)
    end
    for i = 1, #value do
        write(lines, tag, value[i], level)
    end
end

-- (table, name of the element around it) -> XML. A table with one entry is that entry's value.
return function(object, tag)
    local lines = {}
    local first, value = next(object)
    if first ~= nil and next(object, first) == nil then
        write(lines, tag, value, 0)
    else
        write(lines, tag, object, 0)
    end
    return concat(lines, "\n")
end
