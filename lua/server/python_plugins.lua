-- Owns the Lua side of Python plugins: objects that look like Lua plugins, each of whose phases hands over to
-- Python and waits. The other half is pygw/vm/python_plugins.py; what a phase asks stands in python_asks.lua.
local asks = require "server.python_asks"
local bridge = require "server.bridge"
local cjson = require "cjson.safe"
local current = require "server.current"
local task = require "server.task"

local call, entries = bridge.call, bridge.entries
local concat = table.concat
local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tostring, type = tostring, type

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

-- The configuration of that number as JSON.
function entries.python_conf(id)
    return require("apisix.core.json").encode(confs[id], true)
end

-- Runs of a phase that wait for Python, by number: {id, task, event, …}. They are the places where tasks wait.
local runs = {}
local last_run = 0

local Run = {}
Run.__index = Run

function Run:cancel_wait()
    runs[self.id] = nil
end

local function wait(run)
    runs[run.id] = run
    return task.wait(run)
end

local function wake(run)
    runs[run.id] = nil
    return task.resume(run.task)
end

-- The phase has come to its end: "went"; "filtered", bytes; "answered", status, body, headers; "failed", text.
function entries.python_done(id, event, value, body, headers)
    local run = runs[id]
    if run then
        run.event, run.value, run.body, run.headers = event, value, body, headers
        return wake(run)
    end
end

-- The phase wants the request's body: the request's own task reads it.
function entries.python_read_body(id)
    local run = runs[id]
    if run then
        run.event = "read"
        return wake(run)
    end
end

-- Have Python run a phase of plugin `name` for the current request; waits. Returns the run, as it came out.
local function run_phase(name, phase, conf, ctx, ...)
    local r = current.request
    last_run = last_run + 1
    local run = setmetatable({ id = last_run, task = current.task }, Run)
    local request = asks.register(r, ctx)
    call.python_phase(request, run.id, name, phase, conf_id(conf), ...)
    wait(run)
    while run.event == "read" do
        ngx.req.read_body() -- may end the request instead of returning
        call.python_body(request, asks.body_text(r))
        wait(run)
    end
    if run.event == "failed" then
        error(run.value, 0)
    end
    return run
end

-- The request is over: Python may forget it too.
function _M.forget(r)
    local id = asks.forget(r)
    if id then
        call.python_request_over(id)
    end
end

local function answering(name, phase)
    return function(conf, ctx)
        local run = run_phase(name, phase, conf, ctx)
        if run.event ~= "answered" then
            return
        end
        for key, value in pairs(run.headers or {}) do
            ngx.header[key] = value
        end
        return run.value, run.body
    end
end

-- What a filter before us left as the chunk: text, a flat table of it, or nothing.
local function text_of(chunk)
    if type(chunk) == "table" then
        return concat(chunk)
    end
    return chunk == nil and "" or tostring(chunk)
end

local function body_filter(name)
    return function(conf, ctx)
        local run = run_phase(name, "body_filter", conf, ctx, text_of(ngx.arg[1]), ngx.arg[2])
        if run.event == "filtered" then
            ngx.arg[1] = run.value
        end
    end
end

local function watching(name, phase)
    return function(conf, ctx)
        run_phase(name, phase, conf, ctx)
    end
end

-- A body that a filter may change has a length that nobody knows yet.
local function without_length(header_filter)
    return function(conf, ctx)
        ngx.header.content_length = nil
        if header_filter then
            return header_filter(conf, ctx)
        end
    end
end

local MAKERS = { rewrite = answering, access = answering, before_proxy = answering, body_filter = body_filter }

local function object_of(described)
    local name = described.name
    local schema = require "apisix.core.schema"
    local plugin = {
        name = name, version = described.version, priority = described.priority,
        schema = cjson.decode(described.schema),
    }
    local ok, err = schema.valid(plugin.schema)
    if not ok then
        error("the schema of Python plugin [" .. name .. "] is invalid: " .. err, 0)
    end
    function plugin.check_schema(conf)
        return schema.check(plugin.schema, conf)
    end
    for _, phase in ipairs(described.phases) do
        plugin[phase] = (MAKERS[phase] or watching)(name, phase)
    end
    if plugin.body_filter then
        plugin.header_filter = without_length(plugin.header_filter)
    end
    return plugin
end

-- The worker's Python plugins as plugin objects (see apisix.plugin.loader). Raises when a schema is invalid.
function _M.list()
    local plugins = {}
    for _, described in ipairs(call.python_plugins()) do
        plugins[#plugins + 1] = object_of(described)
    end
    return plugins
end

return _M
