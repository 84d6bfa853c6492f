-- Owns what the servers behind the gateway answer to blocks of test files. Mirrors the most used endpoints of
-- t/lib/server.lua of APISIX; used where no checkout has that. A path becomes a function's name: /a/b is a_b.
local json = require "toolkit.json"

local gsub, sub = string.gsub, string.sub
local ipairs, pairs, tonumber, type = ipairs, pairs, tonumber, type
local ngx = ngx
local sort = table.sort

local _M = {}

function _M.hello()
    ngx.req.read_body()
    ngx.header["Content-Length"] = #"hello world\n"
    ngx.say("hello world")
end

function _M.hello1()
    ngx.say("hello1 world")
end

function _M.hello_chunked()
    for _, part in ipairs({ "hell", "o w" }) do
        ngx.print(part)
        ngx.flush(true)
    end
    ngx.say("orld")
end

function _M.server_port()
    ngx.print(ngx.var.server_port)
end

-- Each name and value of a table, in order; several values one by one.
local function each_sorted(values, fn)
    local names = {}
    for name in pairs(values) do
        names[#names + 1] = name
    end
    sort(names)
    for _, name in ipairs(names) do
        local value = values[name]
        for _, one in ipairs(type(value) == "table" and value or { value }) do
            fn(name, one)
        end
    end
end

-- What the gateway adds to all requests is not shown.
local ADDED = {
    ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true, ["x-forwarded-port"] = true,
}

function _M.uri()
    ngx.say("uri: ", ngx.var.uri)
    each_sorted(ngx.req.get_headers(), function(name, value)
        if not ADDED[name] then
            ngx.say(name, ": ", value)
        end
    end)
end

function _M.opentracing()
    ngx.say("opentracing")
end

function _M.headers()
    each_sorted(ngx.req.get_uri_args(), function(name, value)
        ngx.header[name] = value
    end)
    ngx.say("/headers")
end

function _M.echo()
    ngx.req.read_body()
    each_sorted(ngx.req.get_headers(), function(name, value)
        ngx.header[name] = value
    end)
    ngx.print(ngx.req.get_body_data() or "")
end

function _M.specific_status()
    ngx.status = tonumber(ngx.req.get_headers()["x-test-upstream-status"]) or 200
    ngx.say("upstream status: ", ngx.status)
end

function _M.status()
    ngx.say("ok")
end

function _M.mysleep()
    ngx.sleep(tonumber(ngx.var.arg_seconds) or 0)
    ngx.print(ngx.var.arg_abort and "" or ngx.var.arg_seconds)
end

function _M.limit_conn()
    ngx.sleep(0.3)
    ngx.say("hello world")
end

function _M.server_error()
    return ngx.exit(500)
end

function _M.log_request()
    ngx.req.read_body()
    ngx.log(ngx.WARN, "uri: ", ngx.var.request_uri)
    each_sorted(ngx.req.get_headers(), function(name, value)
        ngx.log(ngx.WARN, name, ": ", value)
    end)
    ngx.log(ngx.WARN, "body: ", ngx.req.get_body_data())
    ngx.say(json.encode({ uri = ngx.var.request_uri }))
end

-- Answer the request that runs; headers that begin with resp- come back without it.
function _M.go()
    local action = gsub(sub(ngx.var.uri, 2), "[/%.-]", "_")
    local answer = action ~= "" and action ~= "go" and _M[action]
    if not answer then
        ngx.log(ngx.WARN, "undefined path in test server, uri: ", ngx.var.request_uri)
        return ngx.exit(404)
    end
    for name, value in pairs(ngx.req.get_headers()) do
        if sub(name, 1, 5) == "resp-" then
            ngx.header[sub(name, 6)] = value
        end
    end
    return answer()
end

return _M
