-- Owns the files that are written to: open as long as they are the ones at their path, so that a file that was moved
-- away or removed is begun anew within a second, whether or not a signal says so. Part of the plugin file-logger.
local core = require "apisix.core"
local lfs = require "lfs"
local lrucache = require "resty.lrucache"

local attributes = lfs.attributes
local now = ngx.now
local open = io.open

local COUNT = 256      -- files that are kept open
local LOOK_AGAIN = 1   -- seconds

local kept = lrucache.new(COUNT)

local _M = {}

-- A file: {handle, inode, time (of the last look at its path)}
local function open_file(path)
    local handle, err = open(path, "a+")
    if not handle then
        return nil, err
    end
    handle:setvbuf("no") -- one line, one write: the lines of several processes must not mix
    local file = { handle = handle, inode = attributes(path, "ino"), time = now() }
    kept:set(path, file)
    return file
end

local function is_current(file, path)
    local time = now()
    if time - file.time < LOOK_AGAIN then
        return true
    end
    file.time = time
    return attributes(path, "ino") == file.inode
end

local function find(path)
    local file = kept:get(path)
    if not file then
        return open_file(path)
    end
    if is_current(file, path) then
        return file
    end
    core.log.notice("reopen cached log file: ", path)
    kept:delete(path)
    file.handle:close()
    return open_file(path)
end

-- Append one text, whole. What goes wrong is logged.
function _M.write(path, text)
    local file, err = find(path)
    if not file then
        return core.log.error("failed to open file: ", path, ", error info: ", err)
    end
    local ok
    ok, err = file.handle:write(text)
    if not ok then
        core.log.error("failed to write file: ", path, ", error info: ", err)
    end
end

return _M
