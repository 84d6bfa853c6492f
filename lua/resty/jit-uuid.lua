-- Owns UUIDs of versions 3, 4 and 5, RFC 9562 (API of lua-resty-jit-uuid).
-- Must never be relied on for secrets: version 4 draws from math.random, so that seeding decides.
local bit = require "bit"

local md5, sha1_bin = ngx.md5, ngx.sha1_bin
local band, bor, tohex = bit.band, bit.bor, bit.tohex
local random, randomseed = math.random, math.randomseed
local byte, char, format, gsub, match, rep, sub =
    string.byte, string.char, string.format, string.gsub, string.match, string.rep, string.sub
local setmetatable, tonumber, type = setmetatable, tonumber, type

local _M = { _VERSION = "0.0.7" }

local HEX = "[0-9a-fA-F]"
local CANONICAL = "^" .. rep(HEX, 8) .. "%-" .. rep(HEX, 4) .. "%-" .. rep(HEX, 4)
    .. "%-[89abAB]" .. rep(HEX, 3) .. "%-" .. rep(HEX, 12) .. "$"
local WORD = 2 ^ 32 - 1

-- Seed math.random, by default from the time and the worker's pid. Returns the seed.
function _M.seed(seed)
    seed = seed or ngx.time() + ngx.worker.pid()
    randomseed(seed)
    return seed
end

-- Whether it is a UUID in canonical form, of the RFC's variant, in either case.
function _M.is_valid(uuid)
    return type(uuid) == "string" and match(uuid, CANONICAL) ~= nil
end

-- Eight hexadecimal digits.
local function hex(word)
    return tohex(word, 8)
end

-- 32 hexadecimal digits with the version and variant set, hyphenated.
local function canonical(digits, version)
    local variant = bor(band(tonumber(sub(digits, 17, 18), 16), 0x3f), 0x80)
    return format("%s-%s-%d%s-%s%s-%s", sub(digits, 1, 8), sub(digits, 9, 12), version, sub(digits, 14, 16),
        tohex(variant, 2), sub(digits, 19, 20), sub(digits, 21, 32))
end

-- A random UUID; calling the module does the same.
function _M.generate_v4()
    return canonical(hex(random(0, WORD)) .. hex(random(0, WORD)) .. hex(random(0, WORD)) .. hex(random(0, WORD)), 4)
end

local function sha1(text)
    return (gsub(sha1_bin(text), ".", function(c)
        return tohex(byte(c), 2)
    end))
end

local function octets(uuid)
    return (gsub(gsub(uuid, "-", ""), "%x%x", function(pair)
        return char(tonumber(pair, 16))
    end))
end

local function factory(digest, version)
    return function(namespace)
        if not _M.is_valid(namespace) then
            return nil, "namespace must be a valid UUID"
        end
        local prefix = octets(namespace)
        return function(name)
            if type(name) ~= "string" then
                return nil, "name must be a string"
            end
            return canonical(digest(prefix .. name), version)
        end
    end
end

local function generator(make)
    return function(namespace, name)
        local generate, err = make(namespace)
        if not generate then
            return nil, err
        end
        return generate(name)
    end
end

-- factory_v3, factory_v5: (namespace UUID) -> function(name) -> UUID; or nil, "namespace must be a valid UUID".
-- generate_v3, generate_v5: (namespace UUID, name) -> UUID. The function's error: nil, "name must be a string".
_M.factory_v3, _M.factory_v5 = factory(md5, 3), factory(sha1, 5)
_M.generate_v3, _M.generate_v5 = generator(_M.factory_v3), generator(_M.factory_v5)

return setmetatable(_M, { __call = _M.generate_v4 })
