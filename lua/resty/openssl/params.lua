-- Owns lists of parameters for OpenSSL's providers (OSSL_PARAM). Must not know what they are for.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"

local cast, ffi_gc, ffi_string, istype = ffi.cast, ffi.gc, ffi.string, ffi.istype
local pairs, tonumber, type = pairs, tonumber, type

ffi.cdef [[
struct pygw_ossl_param {
    const char *key;
    unsigned int data_type;
    void *data;
    size_t data_size;
    size_t return_size;
};
]]

local LIST = ffi.typeof("const struct pygw_ossl_param *")
local BIGNUM = ffi.typeof("struct bignum_st *")
local INTEGER, UNSIGNED, UTF8, OCTETS = 1, 2, 4, 5 -- OSSL_PARAM_… of openssl/core.h

local _M = { UTF8 = UTF8, OCTETS = OCTETS }

local push = {
    [INTEGER] = function(builder, name, value)
        return C.OSSL_PARAM_BLD_push_int(builder, name, value)
    end,
    [UNSIGNED] = function(builder, name, value)
        return C.OSSL_PARAM_BLD_push_uint64(builder, name, value)
    end,
    [UTF8] = function(builder, name, value)
        return C.OSSL_PARAM_BLD_push_utf8_string(builder, name, value, #value)
    end,
    [OCTETS] = function(builder, name, value)
        return C.OSSL_PARAM_BLD_push_octet_string(builder, name, value, #value)
    end,
}

local function push_value(builder, name, value, kind)
    if istype(BIGNUM, value) then
        return C.OSSL_PARAM_BLD_push_BN(builder, name, value) == 1
    elseif kind == INTEGER or kind == UNSIGNED then
        value = tonumber(value)
    elseif type(value) ~= "string" then
        value = nil
    end
    return value ~= nil and push[kind](builder, name, value) == 1
end

-- values: name -> number, string or struct bignum_st *; kinds: name -> UTF8, OCTETS, … as of kinds_of(), not needed
-- for bignums. Returns a list that is freed with its last reference, or nil and an error.
function _M.build(values, kinds)
    local builder = C.OSSL_PARAM_BLD_new()
    if builder == nil then
        return nil, "OSSL_PARAM_BLD_new() failed"
    end
    ffi_gc(builder, C.OSSL_PARAM_BLD_free)
    for name, value in pairs(values) do
        local kind = kinds[name]
        if not kind and not istype(BIGNUM, value) then
            return nil, 'param:construct: unknown key "' .. name .. '"'
        elseif not push_value(builder, name, value, kind) then
            return nil, 'param:construct: wrong value of "' .. name .. '"'
        end
    end
    local list = C.OSSL_PARAM_BLD_to_param(builder)
    if list == nil then
        return nil, "OSSL_PARAM_BLD_to_param() failed"
    end
    return ffi_gc(list, C.OSSL_PARAM_free)
end

-- name -> kind of a list that describes what may be set.
function _M.kinds_of(list)
    local kinds, i = {}, 0
    list = cast(LIST, list)
    while list ~= nil and list[i].key ~= nil do
        kinds[ffi_string(list[i].key)] = tonumber(list[i].data_type)
        i = i + 1
    end
    return kinds
end

return _M
