-- Owns the file of breakpoints: Lua code that calls apisix.inspect.dbg, run when it changes; when it goes, they all go.
-- Mirrors apisix.inspect.
local core = require "apisix.core"
local dbg = require "apisix.inspect.dbg"
local lfs = require "lfs"

local ipairs = ipairs
local loadfile = loadfile
local pcall = pcall
local timer_at = ngx.timer.at

local DELAY = 3 -- seconds between looks
local FILE = "/usr/local/apisix/plugin_inspect_hooks.lua"

local _M = {}

local generation = 0 -- of init(): a look of an earlier one is the last
local modified -- when the file in force was changed; nil: there is none

local function keys()
    local found = {}
    for i, hook in ipairs(dbg.hooks()) do
        found[i] = hook.key
    end
    return core.json.delay_encode(found)
end

local function set_up(file)
    dbg.unset_all()
    local chunk, err = loadfile(file)
    local ok = chunk ~= nil
    if ok then
        ok, err = pcall(chunk)
    end
    core.log.warn("set hooks: err: ", not ok and err or nil, ", hooks: ", keys())
end

local function look(file)
    local time = lfs.attributes(file, "modification")
    if time == modified then
        return
    end
    modified = time
    if time then
        set_up(file)
    else
        core.log.info(file, " is gone, disable all hooks")
        dbg.unset_all()
    end
end

local function follow(premature, delay, file, mine)
    if premature or mine ~= generation then
        return
    end
    look(file)
    local ok, err = timer_at(delay, follow, delay, file, mine)
    if not ok then
        core.log.error("failed to create the timer: ", err)
    end
end

-- Follow the file, looking every `delay` seconds.
function _M.init(delay, file)
    generation = generation + 1
    return follow(false, delay or DELAY, file or FILE, generation)
end

-- Stop following it. Breakpoints that are set go.
function _M.destroy()
    generation, modified = generation + 1, nil
    dbg.unset_all()
end

return _M
