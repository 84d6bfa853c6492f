-- Owns the Lua side of Python plugins: objects that look like Lua plugins, whose phases are awaited
-- calls, and the small questions that a Python phase asks of its request.
local bridge = require "server.bridge"
local cjson = require "cjson.safe"
local current = require "server.current"
local light_threads = require "server.light_threads"
local log = require "server.log"

local call, await = bridge.call, bridge.await
local error, ipairs, pairs, setmetatable, tostring = error, ipairs, pairs, setmetatable, tostring

local _M = {}

-- Configurations by identity, so that each crosses once.
local conf_ids = setmetatable({}, { __mode = "k" })
local confs = setmetatable({}, { __mode = "v" })
local last_conf = 0

local function conf_id(conf)
    local id = conf_ids[conf]
    if not id then
        last_conf = last_conf + 1
        id = last_conf
        conf_ids[conf] = id
        confs[id] = conf
    end
    return id
end

-- Requests that a Python phase has seen, by number, until they are over.
local requests = {}
local last_request = 0

local function request_id(r, ctx)
    local id = r.python_id
    if not id then
        last_request = last_request + 1
        id = last_request
        r.python_id = id
        requests[id] = { r = r, ctx = ctx }
    end
    return id
end

-- The request is over: Python may forget it too.
function _M.forget(r)
    local id = r.python_id
    if id then
        r.python_id = nil
        requests[id] = nil
        call.python_request_over(id)
    end
end

local operations = {}

function operations.var(ctx, name) return ctx.var[name] end
function operations.set_var(ctx, name, value) ctx.var[name] = value end
function operations.get_request_header(_, name)
    return current.request.headers:joined(name:lower())
end
function operations.set_request_header(ctx, name, value)
    require("apisix.core.request").set_header(ctx, name, value)
end
function operations.request_header_names()
    local names = {}
    for name in pairs(ngx.req.get_headers(0, true)) do
        names[#names + 1] = name
    end
    return names
end
function operations.get_response_header(_, name)
    return current.request.resp:joined(name:lower())
end
function operations.set_response_header(_, name, value) ngx.header[name] = value end
function operations.response_header_names()
    local names = {}
    for name in pairs(ngx.resp.get_headers(0, true)) do
        names[#names + 1] = name
    end
    return names
end
function operations.get_status() return ngx.status end
function operations.set_status(_, status) ngx.status = status end
function operations.set_path(ctx, path)
    ngx.req.set_uri(path)
    ctx.var.upstream_uri = ""
end
function operations.set_query(_, query) ngx.req.set_uri_args(query) end
function operations.set_body(_, body)
    ngx.req.read_body()
    ngx.req.set_body_data(body)
end

local function entry_of(id)
    local entry = requests[id]
    if not entry then
        error("the request of this context is over", 0)
    end
    return entry
end

-- Python -> Lua, from the greenlet of a phase; nothing here may wait.
function bridge.entries.python_ask(id, operation, ...)
    local entry = entry_of(id)
    local outer = current.request
    current.request = entry.r
    local ok, result = pcall(operations[operation], entry.ctx, ...)
    current.request = outer
    if not ok then
        error(result, 0)
    end
    return result
end

function bridge.entries.python_conf(id)
    return cjson.encode(confs[id])
end

-- Read the request's body in a light thread of it; call.python_body(id, body) brings it.
function bridge.entries.python_read_body(id)
    local r = entry_of(id).r
    local outer_request, outer_task = current.request, current.task
    current.request, current.task = r, r.task
    light_threads.spawn(function()
        ngx.req.read_body()
        call.python_body(id, ngx.req.get_body_data())
    end)
    current.request, current.task = outer_request, outer_task
end

local ANSWERS = { rewrite = true, access = true, before_proxy = true }

local function answering(name, phase)
    return function(conf, ctx)
        local r = current.request
        local ok, status, body, headers = await.python_phase(name, phase, request_id(r, ctx), conf_id(conf))
        if not ok then
            return 500
        end
        if status then
            for key, value in pairs(headers) do
                ngx.header[key] = value
            end
            return status, body
        end
    end
end

local function body_filter(name)
    return function(conf, ctx)
        local r = current.request
        local ok, chunk = await.python_phase(name, "body_filter", request_id(r, ctx), conf_id(conf),
            tostring(ngx.arg[1] or ""), ngx.arg[2])
        if ok and chunk then
            ngx.arg[1] = chunk
        end
    end
end

local function watching(name, phase)
    return function(conf, ctx)
        await.python_phase(name, phase, request_id(current.request, ctx), conf_id(conf))
    end
end

local function object_of(described)
    local name = described.name
    local schema, err = cjson.decode(described.schema)
    if not schema then
        log.err("the schema of Python plugin [", name, "] is no JSON: ", err)
        schema = {}
    end
    local plugin = {
        name = name, version = described.version, priority = described.priority, schema = schema,
        destroy = function()
            call.python_destroy(name)
        end,
    }
    function plugin.check_schema(conf)
        return require("apisix.core.schema").check(schema, conf)
    end
    for _, phase in ipairs(described.phases) do
        if ANSWERS[phase] then
            plugin[phase] = answering(name, phase)
        elseif phase == "body_filter" then
            plugin[phase] = body_filter(name)
        else
            plugin[phase] = watching(name, phase)
        end
    end
    return plugin
end

-- The worker's Python plugins as plugin objects (see apisix.plugin.loader).
function _M.list()
    local plugins = {}
    for _, described in ipairs(call.python_plugins()) do
        plugins[#plugins + 1] = object_of(described)
    end
    return plugins
end

return _M
