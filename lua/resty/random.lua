-- Owns the module resty.random: random bytes from libcrypto (openresty/lua-resty-string).
local ffi = require "ffi"
local crypto = require "ngx.api.libcrypto"
local scratch = require "ngx.api.scratch"

local ffi_string = ffi.string
local rand_bytes = crypto.rand_bytes
local take = scratch.take

local _M = { _VERSION = "0.17" }

-- bytes(len, strong?) -> len random bytes, or nil if the generator is not seeded. `strong` is taken for
-- compatibility: OpenSSL has had one generator, the strong one, since 1.1.
function _M.bytes(len, strong)
    local buffer = take(len)
    if rand_bytes(buffer, len) ~= 1 then
        return nil
    end
    return ffi_string(buffer, len)
end

return _M
