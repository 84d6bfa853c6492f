-- Owns the running of Lua scripts in redis, which knows those that it has seen by their digest. Part of limit-count;
-- limit-req and limit-conn use it too.
local log = require("apisix.core").log
local to_hex = require("resty.string").to_hex

local sha1_bin = ngx.sha1_bin
local sub = string.sub

local _M = {}

function _M.new(text)
    return { text = text, sha = to_hex(sha1_bin(text)) }
end

-- Run a script on one key, with these arguments. Redis forgets scripts when it restarts. Returns its reply, or
-- nil, err.
function _M.eval(client, script, key, ...)
    local reply, err = client:evalsha(script.sha, 1, key, ...)
    if not reply and err and sub(err, 1, 8) == "NOSCRIPT" then
        log.warn("redis evalsha failed: ", err, ". Falling back to eval")
        reply, err = client:eval(script.text, 1, key, ...)
    end
    return reply, err
end

return _M
