-- Owns the facade of resty.core.response: ngx.header, which is always there, as a function.
local add_header = require("ngx.resp").add_header

local ngx = ngx
local error, type = error, type

local _M = { version = require("resty.core.base").version }

-- Set a field of the response as ngx.header[key] = value does. no_override: keep the values that it has.
function _M.set_resp_header(_, key, value, no_override)
    if not no_override then
        ngx.header[key] = value
    elseif value == nil then
        error("invalid header value", 3)
    elseif type(value) ~= "table" or #value > 0 then
        return add_header(key, value)
    end
end

-- For nginx's "if" blocks, which nothing here has.
function _M.bypass_if_checks() end

return _M
