-- Owns the identity of this gateway: the file apisix.uid, which all its workers share and which outlives
-- them, in conf/ of the working directory, or in that itself where it has no conf/. Mirrors apisix.core.id.
local config_local = require "apisix.core.config_local"
local ffi = require "ffi"
local log = require "apisix.core.log"
local random = require "apisix.core.utils.random"
local try_read_attr = require("apisix.core.table").try_read_attr

local ngx = ngx
local C = ffi.C
local match = string.match
local open = io.open
local remove = os.remove
local tostring = tostring

pcall(ffi.cdef, [[
int link(const char *old_path, const char *new_path);
int getpid(void);
]])

local _M = {
    version = 0.1,
    gen_uuid_v4 = random.uuid_v4,
}

local uid

local function read_uid(path)
    local file = open(path, "rb")
    if not file then
        return nil
    end
    local content = file:read("*a")
    file:close()
    return match(content, "^(.-)%s*$")
end

-- Workers start side by side: the first link wins, and a reader never sees half a file.
-- Returns whether the file is there now.
local function write_once(path, text)
    local draft = path .. "." .. C.getpid()
    local file = open(draft, "wb")
    if not file then
        return false
    end
    file:write(text)
    file:close()
    C.link(draft, path)
    remove(draft)
    return true
end

local function paths()
    local prefix = ngx.config.prefix()
    return prefix .. "conf/apisix.uid", prefix .. "apisix.uid"
end

-- Reads the identity; where there is none yet, makes one (apisix.id of the configuration, else random).
function _M.init()
    local in_conf, beside = paths()
    uid = read_uid(in_conf) or read_uid(beside)
    if uid then
        return
    end

    uid = try_read_attr(config_local.local_conf(), "apisix", "id")
    if not uid then
        uid = random.uuid_v4()
        log.notice("not found apisix uid, generate a new one: ", uid)
    end
    uid = tostring(uid)
    if not write_once(in_conf, uid) and not write_once(beside, uid) then
        log.error("failed to open file[", beside, "] for writing")
    end
    uid = read_uid(in_conf) or read_uid(beside) or uid
end

-- Returns the identity, nil before init().
function _M.get()
    return uid
end

return _M
