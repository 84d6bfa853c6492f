-- Owns how keys are generated, and made of their parameters.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local bn = require "resty.openssl.bn"
local format_error = require("resty.openssl.err").format_error
local objects = require "resty.openssl.objects"
local params = require "resty.openssl.params"

local ffi_gc = ffi.gc
local ipairs, match = ipairs, string.match

local KEY = ffi.typeof("struct evp_pkey_st *[1]")
local KEYPAIR, PUBLIC = 0x87, 0x86 -- EVP_PKEY_KEYPAIR, EVP_PKEY_PUBLIC_KEY
local MAX_BITS = 16384

local _M = {}

local function context_for(kind, properties)
    local ctx = C.EVP_PKEY_CTX_new_from_name(nil, kind, properties)
    if ctx == nil then
        return nil, format_error("EVP_PKEY_CTX_new_from_name")
    end
    return ffi_gc(ctx, C.EVP_PKEY_CTX_free)
end

-- Apply what the caller says of the operation. opts: mgf1_md, oaep_md, pss_saltlen, and strings "name:value" of
-- EVP_PKEY_CTX_ctrl_str; or nil. Returns true, or nil and an error.
function _M.control(ctx, opts)
    if not opts then
        return true
    elseif opts.mgf1_md and C.EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, opts.mgf1_md, nil) ~= 1 then
        return nil, format_error("EVP_PKEY_CTX_set_rsa_mgf1_md_name")
    elseif opts.oaep_md and C.EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, opts.oaep_md, nil) ~= 1 then
        return nil, format_error("EVP_PKEY_CTX_set_rsa_oaep_md_name")
    elseif opts.pss_saltlen and C.EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, opts.pss_saltlen) ~= 1 then
        return nil, format_error("EVP_PKEY_CTX_set_rsa_pss_saltlen")
    end
    for _, text in ipairs(opts) do
        local name, value = match(text, "([_%w]+):([_%w]+)")
        if not name then
            return nil, "unknown ctrl str: " .. text
        elseif C.EVP_PKEY_CTX_ctrl_str(ctx, name, value) ~= 1 then
            return nil, format_error("EVP_PKEY_CTX_ctrl_str(" .. name .. ", " .. value .. ")")
        end
    end
    return true
end

-- What is particular to a type: prepare(ctx, config) -> true, or nil and an error.
local prepare = {}

function prepare.RSA(ctx, config)
    local bits = config.bits or 2048
    if bits > MAX_BITS then
        return nil, "bits out of range"
    elseif C.EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) <= 0 then
        return nil, format_error("EVP_PKEY_CTX_ctrl: RSA: bits")
    elseif config.exp and C.EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, bn.new(config.exp).ctx) <= 0 then
        return nil, format_error("EVP_PKEY_CTX_ctrl: RSA: exp")
    end
    return true
end

function prepare.EC(ctx, config)
    local curve = config.curve or "prime192v1"
    if not objects.txt2nid(curve) then
        return nil, "unknown curve " .. curve
    elseif C.EVP_PKEY_CTX_set_group_name(ctx, curve) <= 0 then
        return nil, format_error("EVP_PKEY_CTX_ctrl: EC: curve_nid")
    end
    return true
end

function prepare.DH(ctx, config)
    if config.group and C.EVP_PKEY_CTX_set_group_name(ctx, config.group) <= 0 then
        format_error()
        return nil, "unknown pre-defined group " .. config.group
    elseif not config.group and C.EVP_PKEY_CTX_set_dh_paramgen_prime_len(ctx, config.bits or 2048) <= 0 then
        return nil, format_error("EVP_PKEY_CTX_ctrl: DH: bits")
    end
    return true
end

local function generated(ctx, config, name)
    local ok, err = _M.control(ctx, config)
    if not ok then
        return nil, name .. ": " .. err
    end
    local key = KEY()
    if C.EVP_PKEY_generate(ctx, key) ~= 1 then
        return nil, format_error("EVP_PKEY_gen")
    end
    return key[0]
end

-- Parameters alone, of EC ({type = "EC", curve}) or DH ({type = "DH", group | bits}). Returns a struct evp_pkey_st *,
-- or nil and an error.
function _M.parameters(config)
    local ctx, err = context_for(config.type, config.properties)
    if not ctx then
        return nil, err
    elseif C.EVP_PKEY_paramgen_init(ctx) ~= 1 then
        return nil, format_error("EVP_PKEY_paramgen_init")
    end
    local ok
    ok, err = prepare[config.type](ctx, config)
    if not ok then
        return nil, err
    end
    return generated(ctx, config, "pkey:generate_param")
end

-- The context to make a key in: on parameters that are given as PEM, or are made first.
local function keygen_context(kind, config)
    local by_parameters = config.param or kind == "DH" and not config.group
    if not by_parameters then
        return context_for(kind, config.properties)
    end
    local held, err
    if config.param then
        local bio = ffi_gc(C.BIO_new_mem_buf(config.param, #config.param), C.BIO_free)
        held = C.PEM_read_bio_Parameters(bio, nil)
        err = held == nil and "load_pem_der: " .. format_error()
    else
        held, err = _M.parameters(config)
        err = err and "generate_param: " .. err
    end
    if held == nil then
        return nil, err
    end
    local ctx = C.EVP_PKEY_CTX_new(ffi_gc(held, C.EVP_PKEY_free), nil)
    if ctx == nil then
        return nil, format_error("EVP_PKEY_CTX_new")
    end
    return ffi_gc(ctx, C.EVP_PKEY_CTX_free), nil, true
end

-- A new key. config: {type = "RSA" (default), "EC", "DH", "Ed25519", …; bits, exp; curve; group, param}. Returns a
-- struct evp_pkey_st *, or nil and an error.
function _M.generate(config)
    local kind = config.type or "RSA"
    local ctx, err, prepared = keygen_context(kind, config)
    if not ctx then
        return nil, err
    elseif C.EVP_PKEY_keygen_init(ctx) ~= 1 then
        return nil, format_error("EVP_PKEY_keygen_init")
    end
    if prepare[kind] and not prepared then
        local ok
        ok, err = prepare[kind](ctx, config)
        if not ok then
            return nil, err
        end
    end
    return generated(ctx, config, "pkey:generate_key")
end

-- A key of OpenSSL's parameters. kind: of OpenSSL; values and kinds: see params.build; private: do they hold a private
-- key? Returns a struct evp_pkey_st *, or nil and an error.
function _M.of_values(kind, values, kinds, private, properties)
    local ctx, err = context_for(kind, properties)
    if not ctx then
        return nil, err
    elseif C.EVP_PKEY_fromdata_init(ctx) ~= 1 then
        return nil, format_error("EVP_PKEY_fromdata_init")
    end
    local list
    list, err = params.build(values, kinds)
    if not list then
        return nil, err
    end
    local key = KEY()
    if C.EVP_PKEY_fromdata(ctx, key, private and KEYPAIR or PUBLIC, list) ~= 1 then
        return nil, format_error("EVP_PKEY_fromdata")
    end
    return key[0]
end

return _M
