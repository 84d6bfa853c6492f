-- Owns the identity of this gateway: conf/apisix.uid, which all its workers share and which outlives them.
-- Mirrors apisix.core.id.
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
local function write_once(path, text)
    local draft = path .. "." .. C.getpid()
    local file = open(draft, "wb")
    if not file then
        log.error("failed to open file[" .. path .. "] for writing")
        return
    end
    file:write(text)
    file:close()
    C.link(draft, path)
    remove(draft)
end

-- Reads the identity; where there is none yet, makes one (apisix.id of the configuration, else random).
function _M.init()
    local path = ngx.config.prefix() .. "/conf/apisix.uid"
    uid = read_uid(path)
    if uid then
        return
    end

    local wanted = try_read_attr(config_local.local_conf(), "apisix", "id")
    if not wanted then
        wanted = random.uuid_v4()
        log.notice("not found apisix uid, generate a new one: ", wanted)
    end
    write_once(path, tostring(wanted))
    uid = read_uid(path) or tostring(wanted)
end

-- Returns the identity, nil before init().
function _M.get()
    return uid
end

return _M
