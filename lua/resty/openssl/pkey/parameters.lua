-- Owns the parameters of keys by the names of lua-resty-openssl, read from keys and made into keys.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local base = require "resty.openssl.library"
local bn = require "resty.openssl.bn"
local curves = require "resty.openssl.pkey.curves"
local making = require "resty.openssl.pkey.making"
local objects = require "resty.openssl.objects"
local params = require "resty.openssl.params"

local ffi_gc, ffi_new, ffi_string = ffi.gc, ffi.new, ffi.string
local pairs, setmetatable, type = pairs, setmetatable, type

local SIZE = 1024 -- bytes of the longest octet string: points and raw keys
local POINTER = ffi.typeof("struct bignum_st *[1]")

local _M = {}

local RSA = {
    n = "n", e = "e", d = "d", p = "rsa-factor1", q = "rsa-factor2", dmp1 = "rsa-exponent1", dmq1 = "rsa-exponent2",
    iqmp = "rsa-coefficient1",
}

local function number(key, name)
    local found = POINTER()
    if C.EVP_PKEY_get_bn_param(key, name, found) ~= 1 then
        base.ERR_clear_error()
        return nil
    end
    return bn.dup(ffi_gc(found[0], base.BN_free))
end

-- A parameter that is a string of bytes, or nil.
local function bytes(key, name)
    local buffer, length = ffi_new("unsigned char[?]", SIZE), ffi_new("size_t[1]")
    if C.EVP_PKEY_get_octet_string_param(key, name, buffer, SIZE, length) ~= 1 then
        base.ERR_clear_error()
        return nil
    end
    return ffi_string(buffer, length[0])
end

-- The name of the group of an EC key ("prime256v1"), or nil.
function _M.group_name(key)
    local buffer, length = ffi_new("char[80]"), ffi_new("size_t[1]")
    if C.EVP_PKEY_get_utf8_string_param(key, "group", buffer, 80, length) ~= 1 then
        base.ERR_clear_error()
        return nil
    end
    return ffi_string(buffer, length[0])
end

local function public_point(key)
    local point = bytes(key, "pub")
    return point and bn.from_binary(point)
end

local EC = {
    group = function(key)
        local name = _M.group_name(key)
        return name and objects.txt2nid(name)
    end,
    public = public_point, pub_key = public_point,
    private = function(key) return number(key, "priv") end,
    priv_key = function(key) return number(key, "priv") end,
    x = function(key) return number(key, "qx") end,
    y = function(key) return number(key, "qy") end,
}

local DH = { p = "p", q = "q", g = "g", public = "pub", pub_key = "pub", private = "priv", priv_key = "priv" }
local RAW = { public = "pub", pub_key = "pub", private = "priv", priv_key = "priv" }

-- One parameter of a key of that kind ("RSA", "EC", …): a bn, bytes, or the number of a group; nil if it has none.
function _M.get(key, kind, name)
    if kind == "EC" then
        return EC[name] and EC[name](key)
    elseif kind == "RSA" or kind == "RSA-PSS" then
        return RSA[name] and number(key, RSA[name])
    elseif kind == "DH" or kind == "DHX" then
        return DH[name] and number(key, DH[name])
    end
    return RAW[name] and bytes(key, RAW[name])
end

-- All parameters, each looked up when it is asked for.
function _M.all(key, kind)
    return setmetatable({}, {
        __index = function(_, name)
            return _M.get(key, kind, name)
        end,
    })
end

local function bignums(given, names)
    local values = {}
    for name, value in pairs(given) do
        if names[name] then
            if not bn.istype(value) then
                return nil, 'cannot process parameter "' .. name .. '":expect value to be a bn instance'
            end
            values[names[name]] = value.ctx
        end
    end
    return values
end

-- The uncompressed form of the point of an EC key.
local function point_of(x, y, group)
    local size = curves.size(group)
    local a, b = x:to_binary(size), y:to_binary(size)
    if not a or not b then
        return nil, "a coordinate does not fit the curve " .. group
    end
    return "\4" .. a .. b
end

local function ec_values(given)
    local group, err = objects.txtnid2nid(given.group)
    if not group then
        return nil, 'ec.set_parameters: cannot use parameter "group":' .. err
    end
    for _, name in pairs { "public", "private", "x", "y" } do
        if given[name] and not bn.istype(given[name]) then
            return nil, 'expect parameter "' .. name .. '" to be a bn instance'
        end
    end
    if (given.x == nil) ~= (given.y == nil) then
        return nil, 'ec.set_parameters: "x" and "y" parameter must be defined at same time or both undefined'
    elseif given.x and given.public then
        return nil, 'ec.set_parameters: cannot set "x" and "y" with "public" at same time to set public key'
    end
    local name = objects.nid2table(group).sn
    local values = { group = name, priv = given.private and given.private.ctx }
    if given.x then
        values.pub, err = point_of(given.x, given.y, name)
        if not values.pub then
            return nil, err
        end
    elseif given.public then
        values.pub = given.public:to_binary()
    end
    return values
end

-- A key of that kind and these parameters. Returns a struct evp_pkey_st *, or nil and an error.
function _M.compose(kind, given, properties)
    local values, err
    if kind == "EC" then
        values, err = ec_values(given)
    elseif kind == "RSA" then
        values, err = bignums(given, RSA)
    elseif kind == "DH" then
        values, err = bignums(given, DH)
    else
        values = { priv = given.private, pub = given.public }
        err = not (values.priv or values.pub) and "no parameter is specified"
    end
    if not values or err then
        return nil, err
    end
    local kinds = { group = params.UTF8, pub = params.OCTETS, priv = params.OCTETS }
    return making.of_values(kind, values, kinds, values.priv ~= nil or values.d ~= nil, properties)
end

-- The names of all parameters that a key of that kind may have.
local function names_of(kind)
    if kind == "RSA" then
        return RSA
    elseif kind == "EC" then
        return { group = 1, private = 1, x = 1, y = 1 }
    end
    return { public = 1, private = 1 }
end

-- The same as compose(), where what is not given is taken from a key.
function _M.change(key, kind, given)
    local whole = {}
    for name in pairs(names_of(kind)) do
        whole[name] = _M.get(key, kind, name)
    end
    for name, value in pairs(given) do
        whole[name] = value
    end
    if given.public and kind == "EC" then
        whole.x, whole.y = nil, nil
    elseif given.private and not given.public and type(given.private) == "string" then
        whole.public = nil -- follows from the private one
    end
    return _M.compose(kind, whole)
end

return _M
