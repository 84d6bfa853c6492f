-- Owns the module ngx.resp of lua-resty-core: add_header, set_status, bypass_if_checks.
local add_header = require("ngx.api.resp_header").add_header
local running = require "ngx.api.running"
local set_status = require "ngx.api.resp_status"

local _M = { version = "0.1.33", add_header = add_header }

-- Set the status and the words behind it in the status line.
function _M.set_status(status, reason)
    return set_status(status, reason, 2)
end

-- Let the response be as it is, whatever the request's If-… fields say.
function _M.bypass_if_checks()
    running(2).conditional = false
end

return _M
