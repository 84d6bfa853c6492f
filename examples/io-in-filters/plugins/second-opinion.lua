-- Owns a plugin that shows a whole response to another service before the client gets it, and reports it to a third
-- once it has gone out. OpenResty allows I/O neither in body_filter nor in log; here both may wait.
local core = require "apisix.core"
local http = require "resty.http"

local schema = {
    type = "object",
    properties = {
        service = { type = "string" }, -- gets the body by POST; its answer is what the client gets
        audit = { type = "string" },   -- is told of every response
        timeout = { type = "integer", minimum = 1, default = 1000 }, -- milliseconds
    },
    required = { "service", "audit" },
}

local _M = { version = 0.1, priority = 100, name = "second-opinion", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function post(conf, uri, body)
    local client = http.new()
    client:set_timeout(conf.timeout)
    return client:request_uri(uri, { method = "POST", body = body, headers = { ["Content-Type"] = "text/plain" } })
end

-- The length of the answer is not known yet.
function _M.header_filter()
    core.response.clear_header_as_body_modified()
end

function _M.body_filter(conf, ctx)
    local body = core.response.hold_body_chunk(ctx)
    if not body then
        return -- more is to come
    end
    local answer, err = post(conf, conf.service, body)
    if not answer then
        core.log.error("the second opinion failed: ", err)
        ngx.arg[1] = body
        return
    end
    ngx.arg[1] = answer.body
end

function _M.log(conf, ctx)
    local answer, err = post(conf, conf.audit, ctx.var.uri .. " " .. ngx.status)
    core.log.warn("audit of ", ctx.var.uri, ": ", answer and answer.status or err)
end

return _M
