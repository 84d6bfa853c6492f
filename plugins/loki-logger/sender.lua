-- Owns the form in which Loki takes a batch, a stream for each set of labels, and its sending. Part of the plugin
-- loki-logger.
local core = require "apisix.core"
local http = require "resty.http"

local concat, sort = table.concat, table.sort
local format = string.format
local ipairs = ipairs
local pairs = pairs
local random = math.random

local _M = {}

local function key_of(labels)
    local parts = {}
    for name, value in pairs(labels) do
        parts[#parts + 1] = name .. "=" .. value
    end
    sort(parts)
    return concat(parts, "\0")
end

-- Returns {streams = array of {stream = labels, values = array of {time, line}}}, or nil and why not.
local function to_streams(items)
    local streams, by_key = {}, {}
    for _, item in ipairs(items) do
        local line, err = core.json.encode(item.entry)
        if not line then
            return nil, err
        end
        local key = key_of(item.labels)
        local stream = by_key[key]
        if not stream then
            stream = { stream = item.labels, values = {} }
            by_key[key] = stream
            streams[#streams + 1] = stream
        end
        stream.values[#stream.values + 1] = { item.time, line }
    end
    return { streams = streams }
end

local function headers_of(conf)
    local headers = core.table.clone(conf.headers or {})
    headers["X-Scope-OrgID"] = conf.tenant_id
    headers["Content-Type"] = "application/json"
    return headers
end

local function send(conf, body)
    local client = http.new()
    client:set_timeout(conf.timeout)
    local address = conf.endpoint_addrs[random(#conf.endpoint_addrs)]
    local response, err = client:request_uri(address .. conf.endpoint_uri, {
        method = "POST",
        headers = headers_of(conf),
        body = body,
        ssl_verify = conf.ssl_verify,
        keepalive = conf.keepalive,
        keepalive_timeout = conf.keepalive and conf.keepalive_timeout or nil,
        keepalive_pool = conf.keepalive and conf.keepalive_pool or nil,
    })
    if not response then
        return false, err
    elseif response.status >= 300 then
        return false, format("loki server returned status: %d, body: %s", response.status, response.body or "")
    end
    return true
end

-- What processes the batches of this configuration; an item is {entry, labels, time (nanoseconds, as text)}.
function _M.new(conf)
    return function(items)
        local data, err = to_streams(items)
        if not data then
            return false, "error occurred while encoding the data: " .. err
        end
        return send(conf, core.json.encode(data))
    end
end

return _M
