-- Owns the record of Lua files that may change while the worker runs, those of plugins and of the user's own
-- path: where a module came from, what its file said, which others it required. They can be loaded anew while
-- the old code goes on. Must never decide when, nor know what a module is for.
local compiled = require "server.compiled"

local error = error
local getfenv, setfenv = getfenv, setfenv
local getinfo = debug.getinfo
local gsub, sub = string.gsub, string.sub
local io_open = io.open
local loaded = package.loaded
local pairs = pairs
local pcall = pcall
local require = require
local setmetatable = setmetatable

local GLOBALS = _G

local records = {} -- module name -> {file, text, env (nil: the globals), needs = set of module names}
local by_file = {} -- file -> its record
local loading = {} -- the records of the modules that are being loaded now, innermost last
local listeners = {}
local renewing = false

local _M = { records = records }

local function read(file)
    local handle, err = io_open(file, "rb")
    if not handle then
        return nil, err
    end
    local text = handle:read("*a")
    handle:close()
    return text
end

-- Code that was loaded again differs from the old one, whose file has the same name, by its environment: the globals
-- behind a table of its own.
local function new_env()
    return setmetatable({}, { __index = GLOBALS, __newindex = GLOBALS })
end

local function run(record, chunk, ...)
    loading[#loading + 1] = record
    local ok, result = pcall(chunk, ...)
    loading[#loading] = nil
    if not ok then
        error(result, 0)
    end
    return result
end

-- For package.loaders: the loader of a module's file. Raises when it cannot be read or compiled.
function _M.load(name, file)
    local text, chunk, err
    text, err = read(file)
    if text then
        chunk, err = compiled.load(file, (gsub(text, "^#[^\n]*", "")))
    end
    if not chunk then
        error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. sub(err, 1, 500), 0)
    end
    local record = { file = file, text = text, needs = {} }
    if renewing then
        record.env = new_env()
        setfenv(chunk, record.env)
    end
    records[name], by_file[file] = record, record
    return function(...)
        return run(record, chunk, ...)
    end
end

-- In the place of the global require: notes what a recorded module requires while it loads.
function _M.require(name)
    local innermost = loading[#loading]
    if innermost then
        innermost.needs[name] = true
    end
    return require(name)
end

-- Does the module's file say something else than what was loaded? A file that is gone does not.
function _M.is_changed(name)
    local text = read(records[name].file)
    return text ~= nil and text ~= records[name].text
end

-- Forget these modules (a set of names), so that they are loaded anew when required. Returns what restore() wants.
function _M.forget(names)
    renewing = true
    local old = {}
    for name in pairs(names) do
        old[name] = { module = loaded[name], record = records[name] }
        records[name], loaded[name] = nil, nil
    end
    return old
end

-- Put those of forget()'s modules back whose names are in the set.
function _M.restore(old, names)
    for name in pairs(names) do
        local kept = old[name]
        if kept then
            loaded[name], records[name] = kept.module, kept.record
            by_file[kept.record.file] = kept.record
        end
    end
end

-- Have fn() called after old code has gone out of use.
function _M.when_replaced(fn)
    listeners[#listeners + 1] = fn
end

-- The code of before the last forget() is out of use.
function _M.replaced()
    for i = 1, #listeners do
        listeners[i]()
    end
end

-- Is the function from a file whose code has been replaced since?
function _M.is_old(fn)
    local record = by_file[sub(getinfo(fn, "S").source, 2)]
    return record ~= nil and getfenv(fn) ~= (record.env or GLOBALS)
end

return _M
