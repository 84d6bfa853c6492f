-- Owns the running of Python plugins' phases on the Lua side: each hands over to Python and waits. The other half is
-- pygw/vm/python_plugins.py; what a phase asks stands in python_asks.lua, what plugins look like in python_objects.lua.
local asks = require "server.python_asks"
local bridge = require "server.bridge"
local current = require "server.current"
local log = require "server.log"
local task = require "server.task"

local answer, call, entries = asks.answer, bridge.call, bridge.entries
local concat = table.concat
local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local select, tostring, type, unpack = select, tostring, type, unpack

local ANSWERING = { rewrite = true, access = true, before_proxy = true, api = true, control_api = true }

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
local alive = setmetatable({}, { __mode = "v" }) -- those whose task does meanwhile what they asked for
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

-- Let the task of a run go on, if it waits; it finds what has happened.
local function wake(run)
    local id = run.id
    if runs[id] then
        runs[id] = nil
        if not run.is_over then
            alive[id] = run
        end
        return task.resume(run.task)
    end
    alive[id] = nil
end

-- Phases of plugins by number: {number, name, kind}, and what Python is told with each call, as it is known to be
-- asked: n operations of python_asks and their names.
local phases = {}

-- The phase of that kind of plugin `name`.
local function new_phase(name, kind)
    local phase = { number = #phases + 1, name = name, kind = kind, n = 0, operations = {}, names = {}, given = {} }
    phases[phase.number] = phase
    return phase
end

function entries.python_phase_of(number)
    return phases[number].name, phases[number].kind
end

-- Answer this from now on with each call of that phase.
function entries.python_learn(number, operation, name)
    local phase = phases[number]
    phase.n = phase.n + 1
    phase.operations[phase.n], phase.names[phase.n] = operation, name
end

-- The answers to what the phase is known to ask.
local function asked(phase, ctx)
    local given, operations, names = phase.given, phase.operations, phase.names
    for i = 1, phase.n do
        given[i] = answer(operations[i], ctx, names[i])
    end
    return unpack(given, 1, phase.n)
end

-- The phase has come to its end, and has set these headers of the request.
function entries.python_went(id, header, value, ...)
    local run = runs[id] or alive[id]
    if run then
        run.event, run.is_over = "went", true
        run.header, run.value = header, value
        local more = select("#", ...)
        if more > 0 then
            run.more = { n = more, ... }
        end
        return wake(run)
    end
end

local function set_headers(ctx, run)
    local set_header = require("apisix.core.request").set_header
    set_header(ctx, run.header, run.value)
    local more = run.more
    for i = 1, more and more.n or 0, 2 do
        set_header(ctx, more[i], more[i + 1])
    end
end

-- The phase has come to its end: "filtered", bytes; "answered", status, body, headers; "failed", text;
-- "late", seconds, "fail" or "pass".
function entries.python_done(id, event, value, body, headers)
    local run = runs[id] or alive[id]
    if run then
        run.event, run.value, run.body, run.headers = event, value, body, headers
        run.is_over = true
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

-- The phase asks what may wait (a consultation of python_asks): the request's own task answers.
function entries.python_consult(id, ...)
    local run = runs[id]
    if run then
        run.event, run.question = "consult", { n = select("#", ...), ... }
        return wake(run)
    end
end

-- Do what a run waits for meanwhile, until it has come to its end.
local function serve(run, request, r)
    while not run.is_over do
        if run.event == "read" then
            ngx.req.read_body() -- may end the request instead of returning
            call.python_body(request, asks.body_text(r))
        else
            local question = run.question
            call.python_answer(request, asks.consult(request, unpack(question, 1, question.n)))
        end
        if not run.is_over then
            wait(run)
        end
    end
end

-- It did not end within its time. Returns the run when the request is to go on without it.
local function give_up(run, name, phase)
    local message = "plugin [" .. name .. "] took more than " .. run.value .. " seconds in phase " .. phase
    if run.body == "pass" then
        log.err(message, ": the request goes on without it (on_timeout: pass)")
        return run
    elseif ANSWERING[phase] then
        log.err(message, ": the request is refused")
        run.event, run.value, run.body = "answered", 503, nil
        return run
    end
    error(message, 0)
end

-- Have Python run a phase for the current request; waits. Returns the run, as it came out.
-- what: the number of the configuration, or of the path that the plugin serves. chunk, last: for body_filter.
local function run_phase(phase, what, ctx, chunk, last)
    local r = current.request
    last_run = last_run + 1
    local run = setmetatable({ id = last_run, task = current.task }, Run)
    local request = r.python_id or asks.register(r, ctx)
    if chunk then
        call.python_phase(request, last_run, phase.number, what, chunk, last)
    elseif phase.n == 0 then
        call.python_phase(request, last_run, phase.number, what)
    else
        call.python_phase(request, last_run, phase.number, what, asked(phase, ctx))
    end
    wait(run)
    if not run.is_over then
        serve(run, request, r)
    end
    local event = run.event
    if event == "went" then
        if run.header then
            set_headers(ctx, run)
        end
    elseif event == "failed" then
        error(run.value, 0)
    elseif event == "late" then
        return give_up(run, phase.name, phase.kind)
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

-- What a run answers: status, body; nothing when it does not.
local function answer_of(run)
    if run.event ~= "answered" then
        return
    end
    for key, value in pairs(run.headers or {}) do
        ngx.header[key] = value
    end
    return run.value, run.body
end

local function answering(phase)
    return function(conf, ctx)
        return answer_of(run_phase(phase, conf_id(conf), ctx))
    end
end

-- What a filter before us left as the chunk: text, a flat table of it, or nothing.
local function text_of(chunk)
    if type(chunk) == "table" then
        return concat(chunk)
    end
    return chunk == nil and "" or tostring(chunk)
end

local function body_filter(phase)
    return function(conf, ctx)
        local run = run_phase(phase, conf_id(conf), ctx, text_of(ngx.arg[1]), ngx.arg[2])
        if run.event == "filtered" then
            ngx.arg[1] = run.value
        end
    end
end

local function watching(phase)
    return function(conf, ctx)
        run_phase(phase, conf_id(conf), ctx)
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

_M.new_phase, _M.run, _M.answer_of = new_phase, run_phase, answer_of

local MAKERS = { rewrite = answering, access = answering, before_proxy = answering, body_filter = body_filter }

-- Give plugin the functions of these phases, as a Lua plugin has them.
function _M.add_phases(plugin, kinds)
    for _, kind in ipairs(kinds) do
        plugin[kind] = (MAKERS[kind] or watching)(new_phase(plugin.name, kind))
    end
    if plugin.body_filter then
        plugin.header_filter = without_length(plugin.header_filter)
    end
end

return _M
