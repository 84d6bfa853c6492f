-- Owns the module resty.openssl.bn: whole numbers of any size (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local format_error = require("resty.openssl.err").format_error

local error, pairs, select, setmetatable, tonumber, type = error, pairs, select, setmetatable, tonumber, type
local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local floor, sub = math.floor, string.sub

local NUMBER = ffi.typeof("struct bignum_st *")
local POINTER = ffi.typeof("struct bignum_st *[1]")

-- for what the calculations hold in between
local scratch = ffi_gc(C.BN_CTX_new(), C.BN_CTX_free)

local _M = { bn_ctx_tmp = scratch }
local metatable = { __index = _M }

-- ctx: a struct bignum_st * that is to be freed with its last reference
local function own(ctx)
    return setmetatable({ ctx = ffi_gc(ctx, C.BN_free) }, metatable)
end

local function zero()
    local ctx = C.BN_new()
    return ctx ~= nil and own(ctx) or error("BN_new() failed")
end

local read = {
    binary = function(ctx, text)
        return C.BN_bin2bn(text, #text, ctx) ~= nil
    end,
    mpi = function(ctx, text)
        return C.BN_mpi2bn(text, #text, ctx) ~= nil
    end,
    hex = function(ctx, text)
        return C.BN_hex2bn(POINTER(ctx), text) ~= 0
    end,
    dec = function(ctx, text)
        return C.BN_dec2bn(POINTER(ctx), text) ~= 0
    end,
}

local BASES = { [0] = "mpi", [2] = "binary", [10] = "dec", [16] = "hex" }

-- Give ctx a value. Returns true, or nil and an error.
local function assign(ctx, value, base)
    local ok, name
    if value == nil then
        return true
    elseif type(value) == "number" then
        ok, name = C.BN_set_word(ctx, value) == 1, "set_bn"
    elseif type(value) ~= "string" then
        return nil, "set_bn: expect nil, a number or a string at #1"
    elseif not BASES[base or 10] then
        return nil, "set_bn: unsupported base: " .. base
    else
        name = BASES[base or 10]
        ok, name = read[name](ctx, value), "set_" .. name
    end
    if not ok then
        return nil, format_error(name)
    end
    return true
end

-- value: nil (0), a number, or digits to base 10 or 16; base 2: bytes, the first the highest; base 0: MPI. Returns a
-- bn, or nil and an error.
function _M.new(value, base)
    local self = zero()
    local ok, err = assign(self.ctx, value, base)
    if not ok then
        return nil, "bn.new: " .. err
    end
    return self
end

function _M.istype(value)
    return type(value) == "table" and istype(NUMBER, value.ctx)
end

-- A bn of its own with the value of a struct bignum_st *.
function _M.dup(ctx)
    if not istype(NUMBER, ctx) then
        return nil, "bn.dup: expect a bn ctx at #1"
    end
    return own(C.BN_dup(ctx))
end

-- Give it another value; as new(). Returns itself, or nil and an error.
function _M:set(value, base)
    if not value then
        return nil, "expect a number or a string at #1"
    end
    local ok, err = assign(self.ctx, value, base)
    if not ok then
        return nil, "bn:set: " .. err
    end
    return self
end

for name, take in pairs(read) do
    -- from_binary(text), from_mpi, from_hex, from_dec: a bn, or nil and an error
    _M["from_" .. name] = function(text)
        if type(text) ~= "string" then
            return nil, "bn.from_" .. name .. ": expect a string at #1"
        end
        local self = zero()
        if not take(self.ctx, text) then
            return nil, "bn.from_" .. name .. ": " .. format_error("set_" .. name)
        end
        return self
    end
end

-- The bytes, the highest first; with pad: as many as that, zeros before. nil and an error if they are too few.
function _M:to_binary(pad)
    if pad and type(pad) ~= "number" then
        return nil, "bn:to_binary: expect a number at #1"
    end
    local size = pad or floor((C.BN_num_bits(self.ctx) + 7) / 8)
    local buffer = ffi_new("unsigned char[?]", size)
    local n = C.BN_bn2binpad(self.ctx, buffer, size)
    if n <= 0 then
        return nil, format_error("bn:to_binary")
    end
    return ffi_string(buffer, n)
end

-- The MPI form: four bytes of length, the bytes.
function _M:to_mpi(without_header)
    local buffer = ffi_new("unsigned char[?]", C.BN_bn2mpi(self.ctx, nil))
    local n = C.BN_bn2mpi(self.ctx, buffer)
    if n <= 0 then
        return nil, format_error("bn:to_mpi")
    end
    local text = ffi_string(buffer, n)
    return without_header and sub(text, 5) or text
end

local function digits(text, name)
    if text == nil then
        return nil, format_error(name)
    end
    local found = ffi_string(text)
    C.CRYPTO_free(text, nil, 0)
    return found
end

function _M:to_hex()
    return digits(C.BN_bn2hex(self.ctx), "bn:to_hex")
end

function _M:to_dec()
    return digits(C.BN_bn2dec(self.ctx), "bn:to_dec")
end
metatable.__tostring = _M.to_dec

-- Exact up to 2^53.
function _M:to_number()
    return tonumber(C.BN_get_word(self.ctx))
end
_M.tonumber = _M.to_number

-- A prime of that many bits; safe: (p - 1) / 2 is one too.
function _M.generate_prime(bits, safe)
    local self = zero()
    if C.BN_generate_prime_ex(self.ctx, bits, safe and 1 or 0, nil, nil, nil) == 0 then
        return nil, format_error("bn.BN_generate_prime_ex")
    end
    return self
end

-- The struct bignum_st * of a bn or a number; raises for anything else.
local function operand(value, what)
    if type(value) == "number" then
        local made = zero()
        if C.BN_set_word(made.ctx, value) ~= 1 then
            error("BN_set_word() failed", 4)
        end
        return made.ctx
    elseif type(value) == "table" and _M.istype(value) then
        return value.ctx
    end
    error("cannot " .. what .. " a " .. type(value) .. " to bignum", 4)
end

-- function(a, b, …) -> bn, of a libcrypto function whose operands are `count` bignums; call(r, a, b, m) runs it.
local function operation(name, what, count, call)
    return function(...)
        local r, a, b, m = zero(), operand((...), what), nil, nil
        if count > 1 then
            b = operand((select(2, ...)), what)
        end
        if count > 2 then
            m = operand((select(3, ...)), what)
        end
        if call(r.ctx, a, b, m) == 0 then
            error(format_error(name .. "()"), 2)
        end
        return r
    end
end

local function with_scratch(f)
    return function(r, a, b, m)
        if m then
            return f(r, a, b, m, scratch)
        elseif b then
            return f(r, a, b, scratch)
        end
        return f(r, a, scratch)
    end
end

local function without_scratch(f)
    return function(r, a, b)
        return f(r, a, b)
    end
end

_M.add = operation("BN_add", "add", 2, without_scratch(C.BN_add))
_M.sub = operation("BN_sub", "substract", 2, without_scratch(C.BN_sub))
_M.mul = operation("BN_mul", "multiply", 2, with_scratch(C.BN_mul))
_M.div = operation("BN_div", "divide", 2, function(r, a, b)
    return C.BN_div(r, nil, a, b, scratch)
end)
_M.mod = operation("BN_div", "mod", 2, function(r, a, b)
    return C.BN_div(nil, r, a, b, scratch)
end)
_M.idiv = _M.div
_M.sqr = operation("BN_sqr", "square", 1, with_scratch(C.BN_sqr))
_M.gcd = operation("BN_gcd", "extract greatest common divisor", 2, with_scratch(C.BN_gcd))
_M.exp = operation("BN_exp", "power", 2, with_scratch(C.BN_exp))
_M.pow = _M.exp
_M.mod_sqr = operation("BN_mod_sqr", "mod_sqr", 2, with_scratch(C.BN_mod_sqr))
for _, name in pairs { "add", "sub", "mul", "exp" } do
    _M["mod_" .. name] = operation("BN_mod_" .. name, name, 3, with_scratch(C["BN_mod_" .. name]))
end

local function shifter(name, what)
    return function(a, n)
        local r = zero()
        if C[name](r.ctx, operand(a, what), n) == 0 then
            error(name .. "() failed", 2)
        end
        return r
    end
end
_M.lshift = shifter("BN_lshift", "lshift")
_M.rshift = shifter("BN_rshift", "rshift")

metatable.__add, metatable.__sub, metatable.__mul = _M.add, _M.sub, _M.mul
metatable.__div, metatable.__mod = _M.div, _M.mod

function metatable.__unm(a)
    local b = own(C.BN_dup(a.ctx))
    C.BN_set_negative(b.ctx, 1 - C.BN_is_negative(b.ctx))
    return b
end

function metatable.__eq(a, b)
    return C.BN_cmp(a.ctx, b.ctx) == 0
end

function metatable.__lt(a, b)
    return C.BN_cmp(a.ctx, b.ctx) < 0
end

function metatable.__le(a, b)
    return C.BN_cmp(a.ctx, b.ctx) <= 0
end

for _, name in pairs { "is_zero", "is_one", "is_odd" } do
    local is = C["BN_" .. name]
    _M[name] = function(self)
        return is(self.ctx) == 1
    end
end

function _M:is_word(n)
    return C.BN_is_word(self.ctx, n) == 1
end

-- Is it a prime, as far as tests tell? OpenSSL 3 chooses how many tests (checks is taken for compatibility).
function _M:is_prime(checks)
    if checks and type(checks) ~= "number" then
        return nil, "bn:is_prime: expect a number at #1"
    end
    local code = C.BN_check_prime(self.ctx, scratch, nil)
    if code == -1 then
        return nil, format_error("bn.is_prime")
    end
    return code == 1
end

return _M
