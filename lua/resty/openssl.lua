-- Owns the module resty.openssl: its parts in one table (fffonion/lua-resty-openssl).
local _M = { _VERSION = "1.9.0" }

-- Load all parts into this table.
function _M.load_modules()
    for _, name in ipairs {
        "bn", "cipher", "digest", "hmac", "kdf", "mac", "objects", "pkey", "rand", "version", "x509",
    } do
        _M[name] = require("resty.openssl." .. name)
    end
    for _, name in ipairs { "altname", "chain", "extension", "name", "store" } do
        _M[name] = require("resty.openssl.x509." .. name)
    end
    _M.bignum = _M.bn
end

return _M
