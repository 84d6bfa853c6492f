-- Owns the exchanges of resty.http over a connection: requests that are sent, responses that are read, pipelines.
-- Source: RFC 9110 and 9112; the documentation and the error texts of lua-resty-http. Must never open or keep a
-- connection; it says in `keepalive` whether the client may keep it.
local body_io = require "resty.http.body"
local head = require "resty.http.head"
local http_headers = require "resty.http_headers"

local ngx_log, ERR, DEBUG = ngx.log, ngx.ERR, ngx.DEBUG
local ipairs, next, pairs, rawget, setmetatable = ipairs, next, pairs, rawget, setmetatable
local sub = string.sub

local UNKNOWN_HOST = "Unable to generate a useful Host header for a unix domain socket. Please provide one."

-- user_agent: what requests say when they say nothing themselves; debugging: whether their heads are logged.
local _M = { debugging = false }

local function copy(params)
    local own = {}
    for name, value in next, params do
        own[name] = value
    end
    return own
end

-- The value of Host for where the client is connected to. Returns it, or nil and an error text.
local function host_header(self)
    local host, port = self.host, self.port
    if sub(host, 1, 5) == "unix:" then
        return nil, UNKNOWN_HOST
    elseif port and port ~= (self.ssl and 443 or 80) then
        return host .. ":" .. port
    end
    return host
end

-- The fields that a request is sent with. Returns them, or nil and an error text.
local function headers_of(self, params)
    local headers = http_headers.new()
    for name, value in pairs(params.headers or {}) do
        headers[name] = value
    end
    if not headers["Proxy-Authorization"] then
        headers["Proxy-Authorization"] = self.http_proxy_auth
    end
    local ok, err = head.frame(headers, params.method, params.body)
    if not ok then
        return nil, err
    end
    if not headers["Host"] then
        headers["Host"], err = host_header(self)
        if err then
            return nil, err
        end
    end
    if params.use_default_user_agent ~= false and not headers["User-Agent"] then
        headers["User-Agent"] = _M.user_agent
    end
    if params.version == 1.0 and not headers["Connection"] then
        headers["Connection"] = "Keep-Alive"
    end
    return headers
end

local function awaits_continue(headers)
    return headers["Expect"] == "100-continue"
end

-- Send a request, its body too unless the server is to say first that it wants it. params, of which `headers` becomes
-- what was sent: see request. Returns true, or nil, an error text and what the body's iterator had left.
function _M.send_request(self, params)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    params.method, params.path = params.method or "GET", params.path or "/"
    params.version = params.version or 1.1
    local headers, err = headers_of(self, params)
    if not headers then
        return nil, err
    end
    params.headers = headers
    local bytes
    bytes, err = head.format(params, self.path_prefix)
    if not bytes then
        return nil, err
    end
    if _M.debugging then
        ngx_log(DEBUG, "\n", bytes)
    end
    local sent
    sent, err = sock:send(bytes)
    if not sent then
        return nil, err
    elseif awaits_continue(headers) then
        return true
    end
    return body_io.send(sock, params.body)
end

-- Read status lines until one is of the final response; send the body when the server says that it wants it.
-- Returns status, version, reason, whether the body was left unsent; or nil, nil, err.
local function final_status(sock, params)
    local unsent = params.body ~= nil and awaits_continue(params.headers)
    while true do
        local status, version, reason, err = head.read_status(sock)
        if not status then
            return nil, nil, err
        elseif status >= 200 or status == 101 then
            return status, version, reason, unsent
        end
        local fields
        fields, err = head.read_fields(sock)
        if fields and status == 100 and unsent then
            unsent, fields, err = false, body_io.send(sock, params.body)
        end
        if not fields then
            return nil, nil, err
        end
    end
end

-- The reader of a response's body, and of its trailers; or nil and an error text.
local function readers_of(self, headers, version)
    local sock = self.sock
    if version >= 1.1 and head.is_chunked(headers) then
        local trailing = {}
        local reader = body_io.chunked_reader(sock, nil, trailing)
        return reader, headers["Trailer"] and function() return trailing.fields end
    end
    local length = head.content_length(headers)
    if length == false then
        self.keepalive = false
        return nil, "invalid Content-Length in response"
    elseif not length then
        self.keepalive = false -- its end is the connection's
    end
    return body_io.reader(sock, length)
end

-- Read the response to a request that send_request has sent. Returns {status, reason, headers, has_body,
-- body_reader(size), read_body(), trailer_reader, read_trailers()}, or nil and an error text.
function _M.read_response(self, params)
    local status, version, reason, unsent = final_status(self.sock, params)
    if not status then
        return nil, reason
    end
    local headers, err = head.read_fields(self.sock)
    if not headers then
        return nil, err
    end
    if unsent or not head.keeps_alive(headers, version) then
        self.keepalive = false
    end
    local has_body = head.has_body(params.method, status)
        and not (params.method == "CONNECT" and status < 300)
    local reader, trailers = body_io.no_reader, nil
    if has_body then
        reader, trailers = readers_of(self, headers, version)
        if not reader then
            return nil, trailers
        end
    end
    return {
        status = status, reason = reason, headers = headers, has_body = has_body,
        body_reader = reader, read_body = body_io.read_all,
        trailer_reader = trailers or nil, read_trailers = body_io.read_trailers,
    }
end

-- Send a request over the connection and read the response's head. params: {method ("GET"), path ("/"), query (a
-- string or a table), version (1.1), headers, body (a string, an array of them, or an iterator),
-- use_default_user_agent (true)}. Returns as read_response.
function _M.request(self, params)
    params = copy(params)
    local sent, err = self:send_request(params)
    if not sent then
        return sent, err
    end
    return self:read_response(params)
end

-- Send requests, an array of params, one after the other. Returns an array of responses, each of which is read when
-- one of its fields is first looked at: look at them in order, and read each body before the next. Or nil, err.
function _M.request_pipeline(self, requests)
    local responses = {}
    local lazy = {
        __index = function(response, field)
            local params = rawget(response, "params")
            if params and not rawget(response, "response_read") then
                response.response_read = true
                local res, err = _M.read_response(self, params)
                if not res then
                    ngx_log(ERR, err)
                end
                for name, value in pairs(res or {}) do
                    response[name] = value
                end
            end
            return rawget(response, field)
        end,
    }
    for i, each in ipairs(requests) do
        local params = copy(each)
        if (params.headers or {})["Expect"] == "100-continue" then
            return nil, "Cannot pipeline request specifying Expect: 100-continue"
        end
        local sent, err = self:send_request(params)
        if not sent then
            return sent, err
        end
        responses[i] = setmetatable({ params = params, response_read = false }, lazy)
    end
    return responses
end

return _M
