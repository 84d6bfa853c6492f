-- Owns what a Python phase may ask of its request, and the numbers by which Python knows requests.
-- Nothing here may wait: these are calls from Python, made between two steps of the request's task.
local bridge = require "server.bridge"
local current = require "server.current"
local headers = require "server.http.headers"
local log = require "server.log"
local ngx_resp = require "ngx.resp"
local request_body = require "server.http.request_body"

local lower = headers.lower
local concat = table.concat
local error, pairs, pcall = error, pairs, pcall
local match, tostring = string.match, tostring

local _M = {}

-- Requests that a Python phase has seen, by number, until they are over: {r, ctx}.
local requests = {}
local last = 0

-- The number of request r, whose api_ctx is ctx.
function _M.register(r, ctx)
    local id = r.python_id
    if not id then
        last = last + 1
        id = last
        r.python_id = id
        requests[id] = { r = r, ctx = ctx }
    end
    return id
end

-- Forget r. Returns the number that it had, or nil.
function _M.forget(r)
    local id = r.python_id
    if id then
        r.python_id = nil
        requests[id] = nil
    end
    return id
end

local operations = {}

function operations.get_var(ctx, name) return ctx.var[name] end
function operations.set_var(ctx, name, value) ctx.var[name] = value end
function operations.get_status() return ngx.status end
function operations.set_status(_, status) ngx.status = status end
function operations.get_method() return ngx.req.get_method() end
function operations.get_path() return current.request.uri end
function operations.get_query() return current.request.args or "" end

-- What was read of ctx.var is kept there; what a rewrite made the upstream's target would win over ours.
function operations.set_path(ctx, path)
    ngx.req.set_uri(path)
    ctx.var.uri = path
    ctx.var.upstream_uri = ""
end

function operations.set_query(ctx, query)
    require("apisix.core.request").set_uri_args(ctx, query)
    local target = ctx.var.upstream_uri
    if target and target ~= "" then
        ctx.var.upstream_uri = match(target, "^[^?]*") .. (query ~= "" and "?" .. query or "")
    end
end

-- The body of r as a string, nil without one (or when its file cannot be read).
function _M.body_text(r)
    local text = request_body.text(r)
    return text ~= "" and text or nil
end

local READS = { rewrite = true, access = true, balancer = true, content = true }

-- The body; nil without one; false when it has to be read first.
function operations.get_body()
    local r = current.request
    if r.body and not r.body_read and READS[r.phase] then
        return false
    end
    return _M.body_text(r)
end

function operations.set_body(_, body) request_body.set_data(current.request, body) end

local function lines_of(fields, name)
    local values = fields:get_all(lower(name))
    return values[1] and concat(values, "\n") or nil
end

local function names_of(fields)
    local names = {}
    for name in pairs(fields:to_table(0)) do
        names[#names + 1] = name
    end
    return names[1] and concat(names, "\n") or nil
end

function operations.get_request_header(_, name) return current.request.headers:joined(lower(name)) end
function operations.all_request_header(_, name) return lines_of(current.request.headers, name) end
function operations.names_of_request_headers() return names_of(current.request.headers) end

function operations.set_request_header(ctx, name, value)
    require("apisix.core.request").set_header(ctx, name, value)
end

function operations.del_request_header(ctx, name)
    local present = current.request.headers:get(lower(name)) ~= nil
    operations.set_request_header(ctx, name, nil)
    return present
end

function operations.add_request_header(ctx, name, value)
    require("apisix.core.request").add_header(ctx, name, value)
end

function operations.get_response_header(_, name) return current.request.resp:joined(lower(name)) end
function operations.all_response_header(_, name) return lines_of(current.request.resp, name) end
function operations.names_of_response_headers() return names_of(current.request.resp) end
function operations.set_response_header(_, name, value) ngx.header[name] = value end

function operations.del_response_header(_, name)
    local present = current.request.resp:get(lower(name)) ~= nil
    ngx.header[name] = nil
    return present
end

function operations.add_response_header(_, name, value) ngx_resp.add_header(name, value) end

-- What the error log says of the request.
function operations.log_context() return log.context(current.request) end

-- Consumers that a phase has found, by the number that Python knows them by, for attach_consumer.
local function keep_consumer(ctx, consumer, conf)
    local found = ctx._python_consumers or {}
    ctx._python_consumers = found
    found[#found + 1] = { consumer, conf }
    return #found
end

function operations.attach_consumer(ctx, handle)
    local found = ctx._python_consumers[handle]
    require("apisix.consumer").attach_consumer(ctx, found[1], found[2])
end

-- Answer, or do, for the current request what Python has not come to ask itself.
function _M.answer(operation, ctx, ...)
    return operations[operation](ctx, ...)
end

-- What may wait: these run in the request's own task and return a value for JSON.
local consults = {}

function consults.find_consumer(ctx, plugin_name, attribute, value)
    local consumer, conf = require("apisix.consumer").find_consumer(plugin_name, attribute, value)
    if not consumer then
        return nil
    end
    return {
        name = consumer.consumer_name, username = consumer.username, credential_id = consumer.credential_id,
        group_id = consumer.group_id, labels = consumer.labels, conf = consumer.auth_conf,
        handle = keep_consumer(ctx, consumer, conf),
    }
end

-- Answer a consultation of the request of that number. Returns whether it went well, and JSON or what went wrong.
function _M.consult(id, operation, ...)
    local ok, value = pcall(consults[operation], requests[id].ctx, ...)
    if not ok then
        return false, tostring(value)
    end
    return true, value and require("apisix.core.json").encode(value, true)
end

-- Python -> Lua, from the greenlet of a phase.
function bridge.entries.python_ask(id, operation, ...)
    local entry = requests[id]
    if not entry then
        error("the request of this context is over", 0)
    end
    local outer = current.request
    current.request = entry.r
    local ok, result = pcall(operations[operation], entry.ctx, ...)
    current.request = outer
    if not ok then
        error(result, 0)
    end
    return result
end

return _M
