-- Owns what the claims of a token are held to when it is verified: validators by claim, or the older options.
local cjson = require "cjson.safe"
local validators = require "resty.jwt-validators"

local error, format, gsub, ipairs, pairs, pcall = error, string.format, string.gsub, ipairs, pairs, pcall
local tostring, type = tostring, type

local WHOLE = "__jwt" -- the name under which a validator gets the whole token
local OLDER = { valid_issuers = true, lifetime_grace_period = true, require_nbf_claim = true, require_exp_claim = true }

local _M = {}

local function are_older_options(spec)
    local any = false
    for name in pairs(spec) do
        if not OLDER[name] then
            return false
        end
        any = true
    end
    return any
end

local function check_boolean(options, name)
    if options[name] ~= nil and type(options[name]) ~= "boolean" then
        error("'" .. name .. "' validation option is expected to be a boolean.", 0)
    end
end

-- Validators by claim that mean the same as the older options.
local function spec_of(options)
    local spec = {}
    local require_nbf, require_exp = options.require_nbf_claim, options.require_exp_claim
    if options.valid_issuers ~= nil then
        spec.iss = validators.equals_any_of(options.valid_issuers)
    end
    if options.lifetime_grace_period ~= nil then
        validators.set_system_leeway(options.lifetime_grace_period or 0)
        if require_nbf ~= true and require_exp ~= true then
            spec[WHOLE] = validators.require_one_of({ "nbf", "exp" })
        end
    end
    check_boolean(options, "require_nbf_claim")
    check_boolean(options, "require_exp_claim")
    if options.lifetime_grace_period ~= nil or require_nbf ~= nil or require_exp ~= nil then
        spec.nbf = require_nbf and validators.is_not_before() or validators.opt_is_not_before()
        spec.exp = require_exp and validators.is_not_expired() or validators.opt_is_not_expired()
    end
    return spec
end

-- Why a claim does not hold, or nil. json: the token as JSON.
local function flaw(token, claim, holds, json)
    if type(holds) ~= "function" then
        error("Claim spec value must be a function - see jwt-validators.lua for helper functions", 0)
    end
    local value = token.payload[claim]
    if claim == WHOLE then
        value = cjson.decode(json)
    end
    local ok, result = pcall(holds, value, claim, json)
    if not ok then
        return type(result) == "table" and result.reason or (gsub(tostring(result), "^.-:%d-: ", ""))
    elseif result == false then
        return format("Claim '%s' ('%s') returned failure", claim, tostring(value))
    end
    return nil
end

-- The options that hold when none are given: times that are there must be right.
function _M.default_options(token)
    return { require_exp_claim = token.payload.exp ~= nil, require_nbf_claim = token.payload.nbf ~= nil }
end

-- Why a token's claims do not hold, or nil. specs: an array of validators by claim and of older options. Raises for
-- options that are none.
function _M.flaw(token, specs)
    local json = cjson.encode(token)
    for _, spec in ipairs(specs) do
        if type(spec) == "table" and are_older_options(spec) then
            spec = spec_of(spec)
        end
        for claim, holds in pairs(spec) do
            local reason = flaw(token, claim, holds, json)
            if reason then
                return reason
            end
        end
    end
    return nil
end

return _M
