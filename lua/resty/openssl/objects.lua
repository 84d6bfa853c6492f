-- Owns the module resty.openssl.objects: OpenSSL's numbers (NID) and names of algorithms, curves and fields
-- (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"

local ffi_string, tonumber, type = ffi.string, tonumber, type

local SIZE = 100
local buffer = ffi.new("char[?]", SIZE)

local _M = {
    -- create(oid, short name, long name): a number for an object that OpenSSL does not know; 0 on failure.
    create = C.OBJ_create,
}

-- {id = OID in dots, nid, sn = short name, ln = long name} of an ASN1_OBJECT *.
function _M.obj2table(object)
    local nid = C.OBJ_obj2nid(object)
    return {
        id = ffi_string(buffer, C.OBJ_obj2txt(buffer, SIZE, object, 1)), nid = nid,
        sn = ffi_string(C.OBJ_nid2sn(nid)), ln = ffi_string(C.OBJ_nid2ln(nid)),
    }
end

-- The same for a number.
function _M.nid2table(nid)
    return _M.obj2table(C.OBJ_nid2obj(nid))
end

local function find(text, name)
    local nid = C.OBJ_txt2nid(text)
    if nid == 0 then
        C.ERR_clear_error()
        return nil, "objects." .. name .. ": invalid NID text " .. text
    end
    return nid
end

-- The number of a short name, long name or OID; nil and an error if there is none.
function _M.txt2nid(text)
    if type(text) ~= "string" then
        return nil, "objects.txt2nid: expect a string at #1"
    end
    return find(text, "txt2nid")
end

-- The same; a number is taken as it is.
function _M.txtnid2nid(value)
    if type(value) == "string" then
        return find(value, "txtnid2nid")
    elseif type(value) == "number" then
        return value
    end
    return nil, "objects.txtnid2nid: expect string or number at #1"
end

-- The number of the digest that a signature algorithm uses; 0 and an error if there is none.
function _M.find_sigid_algs(nid)
    local digest = ffi.new("int[1]")
    if C.OBJ_find_sigid_algs(nid, digest, nil) == 0 then
        return 0, "objects.find_sigid_algs: invalid sigid " .. nid
    end
    return tonumber(digest[0])
end

return _M
