-- Owns the sending of a batch as one POST. Part of the plugin http-logger.
local core = require "apisix.core"
local http = require "resty.http"
local logger = require "apisix.utils.log-util.logger"
local url = require "net.url"

local concat = table.concat

local _M = {}

local function encode_lines(entries)
    local lines = core.table.new(#entries, 0)
    for i = 1, #entries do
        local line, err = core.json.encode(entries[i])
        if not line then
            core.log.warn("failed to encode http log: ", err)
            return nil, err
        end
        lines[i] = line
    end
    return concat(lines, "\n")
end

local function encode(conf, entries, batch_max_size)
    if conf.concat_method == "new_line" and batch_max_size ~= 1 then
        return encode_lines(entries)
    end
    return logger.encode(entries, batch_max_size)
end

-- Where to: {secure, host, port, path, query, name (in error messages)}
local function parse(uri)
    local parsed = url.parse(uri)
    local secure = parsed.scheme == "https"
    local port = parsed.port or secure and 443 or 80
    return {
        secure = secure,
        host = parsed.host,
        port = port,
        path = parsed.path and parsed.path ~= "" and parsed.path or "/",
        query = parsed.query,
        name = "host[" .. parsed.host .. "] port[" .. port .. "]",
    }
end

local function connect(client, conf, target)
    local ok, err = client:connect(target.host, target.port)
    if not ok then
        return nil, "failed to connect to " .. target.name .. " " .. err
    end
    if target.secure then
        ok, err = client:ssl_handshake(true, target.host, conf.ssl_verify)
        if not ok then
            return nil, "failed to perform SSL with " .. target.name .. " " .. err
        end
    end
    return true
end

local function post(client, conf, target, body)
    local response, err = client:request {
        method = "POST",
        path = target.path,
        query = target.query,
        body = body,
        headers = {
            ["Host"] = target.host,
            ["Content-Type"] = conf.concat_method == "json" and "application/json" or "text/plain",
            ["Authorization"] = conf.auth_header,
        },
    }
    if not response then
        return false, "error while sending data to [" .. target.host .. "] port[" .. target.port .. "] " .. err
    end
    if response.status >= 400 then
        return false, "server returned status code[" .. response.status .. "] " .. target.name
            .. " body[" .. (response:read_body() or "") .. "]"
    end
    return true
end

local function send(conf, target, body)
    core.log.info("sending a batch logs to ", conf.uri)
    local client = http.new()
    client:set_timeout(conf.timeout * 1000)
    local ok, err = connect(client, conf, target)
    if ok then
        ok, err = post(client, conf, target, body)
    end
    client:close()
    return ok or false, err
end

-- What processes the batches of this configuration: function(entries, batch_max_size) -> true, or false, err.
function _M.new(conf)
    local target = parse(conf.uri)
    return function(entries, batch_max_size)
        local body, err = encode(conf, entries, batch_max_size)
        if not body then
            return false, "error occurred while encoding the data: " .. err
        end
        return send(conf, target, body)
    end
end

return _M
