-- Owns the response functions that APISIX's runtime adds to nginx. Source: apisix-nginx-module, resty.apisix.response.
local current = require "server.current"
local requests = require "server.http.request"

local tonumber = tonumber

local _M = {}

-- Run no body filter for this request: its bytes then go from socket to socket. Returns true.
function _M.skip_body_filter_by_lua()
    current.request.skip_body_filter = true
    return true
end

-- Gzip the response if the client takes that. opts: compress_level (1 to 9), and buffer_num and buffer_size, which
-- have no meaning here: memory is taken as it is needed. For header filters and what runs before. Returns true, or nil
-- and an error text.
function _M.set_gzip(opts)
    local level = tonumber(opts.compress_level)
    if not level or level < 1 or level > 9 then
        return nil, "compress_level must be between 1 and 9"
    end
    requests.extras_of(current.request).gzip = { level = level }
    return true
end

return _M
