-- Owns what the error log says of a failed try of an upstream, in nginx's words.
local errno = require "server.errno"
local log = require "server.log"

local find = string.find

local _M = {}

-- action: of the handshake, when it was that which failed, or nil.
local function describe(err, reached, action)
    if action then
        return (err == "timeout" and "upstream timed out (110: Connection timed out)" or err) .. " while " .. action
    elseif err == "timeout" then
        return "upstream timed out (110: Connection timed out) while "
            .. (reached and "reading response header from upstream" or "connecting to upstream")
    elseif err == "closed" then
        return "upstream prematurely closed connection while reading response header from upstream"
    elseif err == "invalid header" then
        return "upstream sent invalid header while reading response header from upstream"
    elseif err == "header too large" then
        return "upstream sent too big header while reading response header from upstream"
    elseif reached then
        return "upstream failed (" .. err .. ") while sending request to upstream or reading its response"
    end
    return "connect() failed (" .. errno.describe(err) .. ") while connecting to upstream"
end

local UNREACHABLE = { -- what nginx logs as errors; else connect() itself refusing is critical
    ["connection refused"] = true, ["connection reset by peer"] = true, ["host is down"] = true,
    ["no route to host"] = true, ["network is unreachable"] = true,
}

-- Log why a try of `peer` failed. err: an error text; reached: whether the request may have reached it; at_once:
-- whether connect() itself failed.
function _M.report(peer, err, reached, at_once)
    if not at_once then
        local action = not reached and peer.secure and peer.action
        local write = action and find(err, "certificate verify failed", 1, true) and log.crit or log.err
        return write(describe(err, reached, action))
    end
    local write = UNREACHABLE[err] and log.err or log.crit
    return write("connect() to ", peer.name, " failed (", errno.describe(err), ") while connecting to upstream")
end

return _M
