-- Owns requests of test files to the server that they run in, to its Admin API above all. Mirrors t/lib/test_admin.lua
-- of APISIX; used where no checkout has that.
local http = require "resty.http"
local json = require "toolkit.json"

local assert, pairs, tostring, type = assert, pairs, tostring, type
local concat = table.concat
local getenv, open = os.getenv, io.open
local ngx = ngx

local METHODS = {
    [ngx.HTTP_GET] = "GET", [ngx.HTTP_HEAD] = "HEAD", [ngx.HTTP_PUT] = "PUT", [ngx.HTTP_POST] = "POST",
    [ngx.HTTP_DELETE] = "DELETE", [ngx.HTTP_OPTIONS] = "OPTIONS", [ngx.HTTP_PATCH] = "PATCH",
    [ngx.HTTP_TRACE] = "TRACE",
}

local _M = {}

-- Where `got` lacks what is in `wanted`: a text; nil when it has all.
local function difference(wanted, got, path)
    for key, value in pairs(wanted) do
        path[#path + 1] = tostring(key)
        local found = type(got) == "table" and got[key] or nil
        if value == ngx.null then
            value = nil
        end
        if type(value) == "table" and type(found) == "table" then
            local fault = difference(value, found, path)
            if fault then
                return fault
            end
        elseif value ~= found then
            return "path: " .. concat(path, "->") .. " expect: " .. tostring(value) .. " got: " .. tostring(found)
        end
        path[#path] = nil
    end
end

local function decoded(value, what)
    if type(value) ~= "string" then
        return value
    end
    local found, _, err = json.decode(value)
    return found, err and "failed to decode " .. what .. ": " .. err
end

-- Whether a table (or its JSON) has all that another has. Returns true, or false and where it has not.
function _M.comp_tab(wanted, got)
    local err
    wanted, err = decoded(wanted, "expected data")
    if not wanted then
        return false, err
    end
    got, err = decoded(got, "actual data")
    if not got then
        return false, err
    end
    local fault = difference(wanted, got, {})
    return not fault, fault
end

local function ask(uri, method, body, headers)
    headers = headers or {}
    headers["Content-Type"] = headers["Content-Type"] or "application/x-www-form-urlencoded"
    local var = ngx.var
    return http.new():request_uri(var.scheme .. "://" .. var.server_addr .. ":" .. var.server_port .. uri, {
        method = METHODS[method] or method, body = type(body) == "table" and json.encode(body) or body,
        keepalive = false, headers = headers,
    })
end

-- Send a request to this server; body: text, or a table that is sent as JSON; pattern: what the response must hold.
-- Returns status, "passed", body (a table where there was a pattern), headers; status, body, headers from 300 on;
-- 500 and what differs; or nil, err.
function _M.test(uri, method, body, pattern, headers)
    local res, err = ask(uri, method, body, headers)
    if not res then
        ngx.log(ngx.ERR, "failed http: ", err)
        return nil, err
    elseif res.status >= 300 then
        return res.status, res.body, res.headers
    elseif not pattern then
        return res.status, "passed", res.body, res.headers
    end
    local ok, fault = _M.comp_tab(pattern, res.body)
    local got = json.decode(res.body)
    if not ok then
        return 500, "failed, " .. fault, got
    end
    return 200, "passed", got, res.headers
end

-- The same, but returns resty.http's response.
function _M.req_self_with_http(uri, method, body, headers)
    headers = headers or {}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return ask(uri, method, body, headers)
end

-- The whole content of a file; raises when it cannot be read.
function _M.read_file(path)
    local file = assert(open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

local function write_conf(name, text)
    local profile = getenv("APISIX_PROFILE")
    name = name .. (profile and "-" .. profile or "") .. ".yaml"
    local file = assert(open(getenv("TEST_NGINX_HTML_DIR") .. "/../conf/" .. name, "w"))
    assert(file:write(text))
    file:close()
end

function _M.set_config_yaml(text)
    return write_conf("config", text)
end

function _M.set_apisix_yaml(text)
    return write_conf("apisix", text)
end

return _M
