-- Owns the module resty.openssl.version: which OpenSSL this is (fffonion/lua-resty-openssl). pygw needs OpenSSL 3.
local ffi = require "ffi"
local C = require "resty.openssl.library"

local ffi_string, tonumber = ffi.string, tonumber

local number = tonumber(C.OpenSSL_version_num())

local function text_of(pointer)
    return pointer ~= nil and ffi_string(pointer) or nil
end

return {
    -- kinds of version()
    VERSION = 0, CFLAGS = 1, BUILT_ON = 2, PLATFORM = 3, DIR = 4, ENGINES_DIR = 5, VERSION_STRING = 6,
    FULL_VERSION_STRING = 7, MODULES_DIR = 8, CPU_INFO = 9,
    -- kinds of info()
    INFO_CONFIG_DIR = 1001, INFO_ENGINES_DIR = 1002, INFO_MODULES_DIR = 1003, INFO_DSO_EXTENSION = 1004,
    INFO_DIR_FILENAME_SEPARATOR = 1005, INFO_LIST_SEPARATOR = 1006, INFO_SEED_SOURCE = 1007,
    INFO_CPU_SETTINGS = 1008,

    version_num = number,
    version_text = text_of(C.OpenSSL_version(0)),
    OPENSSL_111 = false,
    OPENSSL_30 = number >= 0x30000000 and number < 0x30100000,
    OPENSSL_3X = number >= 0x30000000 and number < 0x40000000,
    OPENSSL_4X = number >= 0x40000000 and number < 0x50000000,
    OPENSSL_3_UP = true,

    -- version(kind): what OpenSSL says of itself
    version = function(kind)
        return text_of(C.OpenSSL_version(kind))
    end,
    -- info(kind): where OpenSSL looks for things; nil if it does not say
    info = function(kind)
        return text_of(C.OPENSSL_info(kind))
    end,
}
