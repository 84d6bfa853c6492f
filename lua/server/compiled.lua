-- Owns the compiling of Lua files. A process with many Lua VMs, as one of tests, hands over a store of what others
-- have compiled; the code is the same, down to its names and lines. Must never look for a file.
local dump = string.dump
local loadfile = loadfile
local loadstring = loadstring

local find, keep -- of pygw/vm/compiled.py; nil: there is no store

local _M = {}

-- Called once by Python, which owns the store.
function _M.attach(find_bytecode, keep_bytecode)
    find, keep = find_bytecode, keep_bytecode
end

local function compile(file, text)
    if text then
        return loadstring(text, "@" .. file)
    end
    return loadfile(file)
end

-- The chunk of a file; nil and an error. text: what it says, if that has been read.
function _M.load(file, text)
    local bytecode = find and find(file, text)
    if bytecode then
        return loadstring(bytecode, "@" .. file)
    end
    local chunk, err = compile(file, text)
    if chunk and keep then
        keep(file, dump(chunk), text)
    end
    return chunk, err
end

return _M
