-- Owns the splitting of "host:port". Must never validate or resolve. Part of apisix.core.utils.
local byte = string.byte
local find = string.find
local rfind_char = require("apisix.core.string").rfind_char
local sub = string.sub
local tonumber = tonumber

local OPEN_BRACKET, CLOSE_BRACKET = byte("["), byte("]")

-- A colon that ends the text begins no port.
local function split_at_last_colon(addr)
    local colon = rfind_char(addr, ":", #addr - 1)
    if not colon then
        return addr, nil
    end
    return sub(addr, 1, colon - 1), tonumber(sub(addr, colon + 1)), colon
end

-- "::ffff:192.0.2.1" has two colons before its first dot; a host with a port has not.
local function is_bare_ipv6(addr)
    local _, second_colon = find(addr, ":[^:]*:")
    local dot = find(addr, ".", 1, true)
    return second_colon and (not dot or dot > second_colon)
end

local _M = {}

-- "127.0.0.1:80" -> "127.0.0.1", 80;  "[::1]:80" -> "[::1]", 80 (brackets stay);  "::1" -> "::1", nil.
-- Returns host, port (nil if there is none). What is malformed may come out as anything.
function _M.parse_addr(addr)
    if byte(addr, 1) == OPEN_BRACKET then
        if byte(addr, #addr) == CLOSE_BRACKET then
            return addr, nil
        end
        local host, port, colon = split_at_last_colon(addr)
        if not colon or byte(addr, colon - 1) ~= CLOSE_BRACKET then
            return addr, nil
        end
        return host, port
    end
    if is_bare_ipv6(addr) then
        return addr, nil
    end
    local host, port = split_at_last_colon(addr)
    return host, port
end

return _M
