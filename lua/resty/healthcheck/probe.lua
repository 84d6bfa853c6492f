-- Owns a probe: one connection to a target, and what its checker is told of it. Part of resty.healthcheck.
local concat = table.concat
local ipairs = ipairs
local match = string.match
local pairs = pairs
local tcp = ngx.socket.tcp
local tostring = tostring
local type = type

local ERR = ngx.ERR

local function header_lines(req_headers)
    local lines = {}
    for key, values in pairs(req_headers) do
        for _, value in ipairs(type(values) == "table" and values or { values }) do
            if value ~= "" then
                lines[#lines + 1] = type(key) == "number" and value or key .. ": " .. tostring(value)
            end
        end
    end
    lines[#lines + 1] = ""
    return concat(lines, "\r\n")
end

local function request_of(active, host)
    local body = active.http_req_body
    local length = body ~= "" and "Content-Length: " .. #body .. "\r\n" or ""
    active.header_lines = active.header_lines or header_lines(active.req_headers)
    return active.http_method .. " " .. active.http_path .. " HTTP/1.1\r\nConnection: close\r\n" .. active.header_lines
        .. "Host: " .. host .. "\r\n" .. length .. "\r\n" .. body
end

local function name_of(target)
    return "'" .. target.hostname .. " (" .. target.ip .. ":" .. target.port .. ")'"
end

-- The connection has failed at something.
local function report(checker, target, operation, err)
    if err == "timeout" then
        return checker:report_timeout(target.ip, target.port, target.hostname, "active")
    end
    return checker:report_tcp_failure(target.ip, target.port, target.hostname, operation, "active")
end

local function shake_hands(checker, socket, target, host)
    local active = checker.checks.active
    if checker.ssl_cert and checker.ssl_key then
        local ok, err = socket:setclientcert(checker.ssl_cert, checker.ssl_key)
        if not ok then
            checker:log(ERR, "failed to set client certificate: ", err)
        end
    end
    local sni = active.https_sni or match(host, "^([^:]+):%d+$") or host
    local session, err = socket:sslhandshake(nil, sni, active.https_verify_certificate)
    if not session then
        checker:log(ERR, "failed SSL handshake with ", name_of(target), ", using server name (sni) '", sni, "': ", err)
    end
    return session
end

-- Ask and read the status line. Returns it, or nil, what failed and err.
local function ask(checker, socket, target, host)
    local sent, err = socket:send(request_of(checker.checks.active, host))
    if not sent then
        checker:log(ERR, "failed to send http request to ", name_of(target), ": ", err)
        return nil, "send", err
    end
    local line
    line, err = socket:receive()
    if not line then
        checker:log(ERR, "failed to receive status line from ", name_of(target), ": ", err)
        return nil, "receive", err
    end
    return line
end

local function check_http(checker, socket, target)
    local host = target.hostheader or target.hostname
    if checker.checks.active.type == "https" and not shake_hands(checker, socket, target, host) then
        return report(checker, target, "connect")
    end
    local line, operation, err = ask(checker, socket, target, host)
    if not line then
        return report(checker, target, operation, err)
    end
    local status = match(line, "^HTTP/%d+%.%d+%s+(%d+)")
    if not status then
        checker:log(ERR, "bad status line from ", name_of(target), ": ", line)
    end
    return checker:report_http_status(target.ip, target.port, target.hostname, status, "active")
end

-- Probe a target ({ip, port, hostname, hostheader}) and report the outcome to checker. Waits.
return function(checker, target)
    local active = checker.checks.active
    local socket, err = tcp()
    if not socket then
        checker:log(ERR, "failed to create stream socket: ", err)
        return
    end
    socket:settimeout(active.timeout * 1000)
    local ok
    ok, err = socket:connect(target.ip, target.port)
    if not ok then
        report(checker, target, "connect", err)
    elseif active.type == "tcp" then
        checker:report_success(target.ip, target.port, target.hostname, "active")
    else
        check_http(checker, socket, target)
    end
    socket:close()
end
