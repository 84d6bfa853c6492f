-- Owns what JOSE and OpenSSL call the curves of EC keys, and how long a coordinate is on each.
-- Sources: RFC 7518 section 6.2.1, RFC 8812 section 3.1.

-- bytes of a coordinate, by OpenSSL's short name
local SIZES = {
    prime192v1 = 24, secp224r1 = 28, prime256v1 = 32, secp384r1 = 48, secp521r1 = 66, secp256k1 = 32,
    brainpoolP256r1 = 32, brainpoolP320r1 = 40, brainpoolP384r1 = 48, brainpoolP512r1 = 64,
}

local OF_JOSE = { ["P-256"] = "prime256v1", ["P-384"] = "secp384r1", ["P-521"] = "secp521r1" }
local TO_JOSE = {}
for jose, name in pairs(OF_JOSE) do
    TO_JOSE[name] = jose
end

return {
    -- bytes of a coordinate by either name; nil for a curve that is not known
    size = function(name)
        return SIZES[OF_JOSE[name] or name]
    end,
    -- the name that JOSE uses, or nil
    to_jose = function(name)
        return TO_JOSE[name] or (SIZES[name] and name)
    end,
    -- the name that OpenSSL uses
    of_jose = function(name)
        return OF_JOSE[name] or name
    end,
}
