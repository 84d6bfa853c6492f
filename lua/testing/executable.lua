-- Owns the question which lines of a Lua file can run. Asked by the coverage report, in a runtime of its own.
local util = require "jit.util"

local concat = table.concat
local pairs = pairs
local funcbc = util.funcbc
local funcinfo = util.funcinfo
local funck = util.funck
local loadfile = loadfile
local type = type

local function collect(proto, found)
    local pc = 1 -- 0 is the function's own head
    while funcbc(proto, pc) do
        found[funcinfo(proto, pc).currentline] = true
        pc = pc + 1
    end
    local at = -1
    while true do
        local constant = funck(proto, at)
        if constant == nil then
            return
        elseif type(constant) == "proto" then
            collect(constant, found)
        end
        at = at - 1
    end
end

-- The lines of the file at path, as text with commas between; nil and an error when it is no Lua.
return function(path)
    local chunk, err = loadfile(path)
    if not chunk then
        return nil, err
    end
    local found, list = {}, {}
    collect(chunk, found)
    for line in pairs(found) do
        list[#list + 1] = line
    end
    return concat(list, ",")
end
