-- Owns the names of APISIX's functions for the Chinese standards of TLS (GM/NTLS). OpenSSL does not speak them,
-- Tongsuo does: each function says so. Source: apisix-nginx-module, resty.apisix.ssl.
local MISSING = "NTLS needs Tongsuo; this runtime speaks TLS by OpenSSL"

local function refuse()
    return nil, MISSING
end

return { set_gm_cert = refuse, set_gm_priv_key = refuse, enable_ntls = refuse, disable_ntls = refuse }
