-- Owns responses that need no upstream: an example of the configuration's, or values by a JSON schema. Configuration
-- and behaviour are those of APISIX 3.18's plugin of this name. Must never ask an upstream.
local core = require "apisix.core"
local values = require "apisix.plugins.mocking.values"
local xml = require "apisix.plugins.mocking.xml"

local ngx = ngx
local match = string.match
local pairs = pairs
local resolve_var = core.utils.resolve_var
local sleep = ngx.sleep

local MOCKED_BY = "APISIX/" .. core.version.VERSION

local schema = {
    type = "object",
    properties = {
        content_type = { type = "string", default = "application/json;charset=utf8" },
        delay = { type = "integer", default = 0 }, -- seconds
        response_example = { type = "string" }, -- wins over a schema
        response_headers = {
            type = "object",
            minProperties = 1,
            patternProperties = { ["^[^:]+$"] = { oneOf = { { type = "string" }, { type = "number" } } } },
        },
        response_schema = { type = "object" },
        response_status = { type = "integer", minimum = 100, default = 200 },
        with_mock_header = { type = "boolean", default = true },
    },
    anyOf = {
        { required = { "response_example" } },
        { required = { "response_schema" } },
    },
}

local _M = { version = 0.1, priority = 10900, name = "mocking", schema = schema }

local function as_xml(object)
    return xml(object, "data")
end

-- How what a schema describes is written; false: only an example can be.
local WRITERS = {
    ["application/json"] = core.json.encode,
    ["application/xml"] = as_xml,
    ["text/html"] = false,
    ["text/plain"] = core.json.encode,
    ["text/xml"] = as_xml,
}

-- The media type without parameters.
local function media_type(content_type)
    return match(content_type, "^([ -~]*);") or content_type
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    if WRITERS[media_type(conf.content_type)] == nil then
        return false, "unsupported content type!"
    end
    return true
end

local function body_of(conf)
    if conf.response_example then
        return conf.response_example
    end
    local writer = WRITERS[media_type(conf.content_type)]
    if not writer then
        core.log.error("json schema body only support xml and json content type")
        return ""
    end
    return writer(values.object(conf.response_schema))
end

local function set_headers(conf, ctx)
    ngx.header["Content-Type"] = conf.content_type
    if conf.with_mock_header then
        ngx.header["x-mock-by"] = MOCKED_BY
    end
    local headers = conf.response_headers
    if headers then
        for name, value in pairs(headers) do
            core.response.add_header(name, (resolve_var(value, ctx.var)))
        end
    end
end

function _M.access(conf, ctx)
    local body = resolve_var(body_of(conf), ctx.var)
    set_headers(conf, ctx)
    if conf.delay > 0 then
        sleep(conf.delay)
    end
    return conf.response_status, body
end

return _M
