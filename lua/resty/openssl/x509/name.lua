-- Owns the module resty.openssl.x509.name: the names in certificates (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local base = require "resty.openssl.library"
local objects = require "resty.openssl.objects"

local concat, sort = table.concat, table.sort
local ffi_gc, ffi_string, istype = ffi.gc, ffi.string, ffi.istype
local setmetatable, tostring, type = setmetatable, tostring, type

local MBSTRING_ASC = 0x1001
local NAME = ffi.typeof("struct X509_name_st *")

local _M = {}
local metatable = { __index = _M }

local function own(ctx)
    return setmetatable({ ctx = ffi_gc(ctx, C.X509_NAME_free) }, metatable)
end

-- An empty name.
function _M.new()
    return own(C.X509_NAME_new())
end

function _M.istype(value)
    return type(value) == "table" and istype(NAME, value.ctx)
end

-- A copy of an OpenSSL name.
function _M.dup(ctx)
    if not istype(NAME, ctx) then
        return nil, "x509.name.dup: expect a x509.name ctx at #1, got " .. type(ctx)
    end
    return own(C.X509_NAME_dup(ctx))
end

-- The entry at i, from 0: {id, nid, sn, ln, blob = the text}
local function entry_at(ctx, i)
    local entry = C.X509_NAME_get_entry(ctx, i)
    local found = objects.obj2table(C.X509_NAME_ENTRY_get_object(entry))
    local text = C.X509_NAME_ENTRY_get_data(entry)
    if text ~= nil then
        found.blob = ffi_string(C.ASN1_STRING_get0_data(text), C.ASN1_STRING_length(text))
    end
    return found
end

-- Iterate over short name ("CN"), entry.
function _M:each()
    local i, n = -1, C.X509_NAME_entry_count(self.ctx)
    return function()
        i = i + 1
        if i < n then
            local entry = entry_at(self.ctx, i)
            return entry.sn or entry.ln or entry.id, entry
        end
    end
end

-- short name -> entry; of those that come more than once, the last.
function _M:all()
    local found = {}
    for name, entry in self:each() do
        found[name] = entry
    end
    return found
end

-- The object of a name, to be freed; nil if there is none.
local function object_of(name)
    local object = base.OBJ_txt2obj(name, 0)
    if object == nil then
        base.ERR_clear_error()
        return nil
    end
    return ffi_gc(object, base.ASN1_OBJECT_free)
end

-- Add an entry; name: "CN", "O", …. Returns itself, or nil and an error.
function _M:add(name, text)
    local object = object_of(name)
    if not object then
        return nil, "x509.name:add: invalid NID text " .. tostring(name)
    elseif C.X509_NAME_add_entry_by_OBJ(self.ctx, object, MBSTRING_ASC, text, #text, -1, 0) ~= 1 then
        return nil, "x509.name:add: X509_NAME_add_entry_by_OBJ() failed"
    end
    return self
end

-- The next entry of that name behind `after` (0). Returns it and where it stands; nil if there is none; nil, nil and
-- an error.
function _M:find(name, after)
    local object = object_of(name)
    if not object then
        return nil, nil, "x509.name:find: invalid NID text " .. tostring(name)
    end
    local at = C.X509_NAME_get_index_by_OBJ(self.ctx, object, (after or 0) - 1)
    if at < 0 then
        return nil
    end
    return entry_at(self.ctx, at), at + 1
end

-- "CN=…/O=…", in order of the names.
function _M:tostring()
    local parts = {}
    for name, entry in self:each() do
        parts[#parts + 1] = name .. "=" .. entry.blob
    end
    sort(parts)
    return concat(parts, "/")
end

metatable.__tostring = _M.tostring
metatable.__pairs = _M.each
function metatable.__len(self)
    return C.X509_NAME_entry_count(self.ctx)
end

return _M
