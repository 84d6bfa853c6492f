-- Owns the module resty.openssl.x509.altname: the names of subjectAltName (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local extensions = require "resty.openssl.x509.extension"
local names = require "resty.openssl.x509.name"

local cast, ffi_gc, ffi_new, ffi_string = ffi.cast, ffi.gc, ffi.new, ffi.string
local byte, concat, format = string.byte, table.concat, string.format
local ipairs, setmetatable, tostring, type = ipairs, setmetatable, tostring, type

local DIRECTORY, ADDRESS = 4, 7
-- kinds of GENERAL_NAME whose value is text
local TEXT = { [1] = "email", [2] = "DNS", [6] = "URI" }
-- how openssl.cnf calls what add() takes, by its lower case
local KINDS = { dns = "DNS", email = "email", rfc822 = "email", rfc822name = "email", uri = "URI",
    uniformresourceidentifier = "URI", ip = "IP", ipaddress = "IP", dnsname = "DNS" }

local _M = {}
local metatable = { __index = _M }

-- A list without names.
function _M.new()
    return setmetatable({ entries = {} }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and value.entries ~= nil
end

local function text_of(string)
    return ffi_string(C.ASN1_STRING_get0_data(string), C.ASN1_STRING_length(string))
end

local function address_of(bytes)
    local parts = {}
    if #bytes == 4 then
        return concat({ byte(bytes, 1, 4) }, ".")
    end
    for i = 1, #bytes, 2 do
        local high, low = byte(bytes, i, i + 1)
        parts[#parts + 1] = format("%X", high * 256 + low)
    end
    return concat(parts, ":")
end

local function entry_of(name)
    local kind = ffi_new("int[1]")
    local value = C.GENERAL_NAME_get0_value(name, kind)
    kind = kind[0]
    if TEXT[kind] then
        return { TEXT[kind], text_of(value) }
    elseif kind == ADDRESS then
        return { "IP", address_of(text_of(value)) }
    elseif kind == DIRECTORY then
        return { "DirName", names.dup(cast("struct X509_name_st *", value)) }
    end
    return { "Other", "Other" }
end

-- The list that an OpenSSL GENERAL_NAMES * holds, which is freed; nil for a null pointer.
function _M.of_extension(stack)
    if stack == nil then
        return nil
    end
    ffi_gc(stack, C.GENERAL_NAMES_free)
    local self = _M.new()
    for i = 1, C.OPENSSL_sk_num(stack) do
        self.entries[i] = entry_of(C.OPENSSL_sk_value(stack, i - 1))
    end
    return self
end

-- Add a name; kind: "DNS", "email", "URI" or "IP", in any case. Returns itself, or nil and an error.
function _M:add(kind, text)
    if type(kind) ~= "string" then
        return nil, "x509.altname:gn_set: expect a string at #1"
    elseif type(text) ~= "string" then
        return nil, "x509.altname:gn_set: except a string at #2"
    elseif not KINDS[kind:lower()] then
        return nil, "x509.altname:gn_set: unknown type " .. kind
    end
    self.entries[#self.entries + 1] = { KINDS[kind:lower()], text }
    return self
end

function _M:count()
    return #self.entries
end
metatable.__len = _M.count

-- Iterate over kind, name.
function _M:each()
    local i = 0
    return function()
        i = i + 1
        local entry = self.entries[i]
        if entry then
            return entry[1], entry[2]
        end
    end
end
metatable.__pairs = _M.each

-- All, as an array of {kind, name}.
function _M:all()
    local found = {}
    for i, entry in ipairs(self.entries) do
        found[i] = { entry[1], entry[2] }
    end
    return found
end

-- "DNS=a/DNS=b"
function _M:tostring()
    local parts = {}
    for i, entry in ipairs(self.entries) do
        parts[i] = entry[1] .. "=" .. tostring(entry[2])
    end
    return concat(parts, "/")
end
metatable.__tostring = _M.tostring

-- The extension that says it, for certificates; name: "subjectAltName" by default. Returns it, or nil and an error.
function _M:to_extension(name)
    local parts = {}
    for i, entry in ipairs(self.entries) do
        parts[i] = entry[1] .. ":" .. entry[2]
    end
    return extensions.new(name or "subjectAltName", concat(parts, ","))
end

return _M
