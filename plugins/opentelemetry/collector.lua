-- Owns the sending of spans to a collector: POSTs, some more tries, and a pause when it fails again and again.
-- Part of the plugin opentelemetry.
local core = require "apisix.core"
local http = require "resty.http"

local find = string.find
local ngx = ngx
local pairs = pairs
local random = math.random
local setmetatable = setmetatable
local tostring = tostring

local TRIES = 3
local MAX_TIME = 10      -- seconds for all tries of one batch
local FAILURES = 5       -- in a row, until it is left alone
local PAUSE = 5          -- seconds

local _M = {}
local mt = { __index = _M }

-- conf: {address, request_timeout (seconds), request_headers} of the metadata.
function _M.new(conf)
    local headers = {}
    for name, value in pairs(conf.request_headers or {}) do
        headers[name] = tostring(value)
    end
    headers["Content-Type"] = "application/x-protobuf"
    local uri = conf.address .. "/v1/traces"
    if find(uri, "http", 1, true) ~= 1 then
        uri = "http://" .. uri
    end
    return setmetatable({ uri = uri, timeout = conf.request_timeout * 1000, headers = headers, failures = 0 }, mt)
end

local function post(self, body)
    local client = http.new()
    client:set_timeout(self.timeout)
    local response, err = client:request_uri(self.uri, { method = "POST", headers = self.headers, body = body })
    if not response then
        core.log.error("request failed: ", err)
        return false
    elseif response.status ~= 200 then
        core.log.error("request failed: ", response.body)
        return false
    end
    return true
end

local function note(self, ok)
    self.failures = ok and 0 or self.failures + 1
    if self.failures >= FAILURES then
        self.pause_ends = ngx.now() + PAUSE
    end
end

-- Returns whether it was taken. What nobody takes is lost. Waits.
function _M:send(body)
    local began = ngx.now()
    for try = 1, TRIES do
        if self.pause_ends and ngx.now() < self.pause_ends then
            core.log.info("Circuit breaker is open")
            return false
        elseif ngx.now() - began > MAX_TIME then
            core.log.warn("Collector retries timed out (timeout ", MAX_TIME * 1000, ")")
            return false
        end
        local ok = post(self, body)
        note(self, ok)
        if ok or ngx.worker.exiting() then
            return ok
        end
        ngx.sleep(random() * 2 ^ try)
    end
    return false
end

return _M
