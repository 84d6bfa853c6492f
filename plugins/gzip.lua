-- Owns which responses are gzipped. Configuration, behaviour and messages are those of APISIX 3.18's plugin of this
-- name; the server compresses, once it has seen that the client takes it.
local core = require "apisix.core"
local runtime = require "resty.apisix.response"

local header = ngx.header
local http_version = ngx.req.http_version
local ipairs = ipairs
local match = string.match
local tonumber = tonumber

local ANY = "*"

local schema = {
    type = "object",
    properties = {
        types = {
            anyOf = {
                { type = "array", minItems = 1, items = { type = "string", minLength = 1 } },
                { enum = { ANY } },
            },
            default = { "text/html" },
        },
        min_length = { type = "integer", minimum = 1, default = 20 },
        comp_level = { type = "integer", minimum = 1, maximum = 9, default = 1 },
        http_version = { enum = { 1.1, 1.0 }, default = 1.1 },
        buffers = {
            type = "object",
            properties = {
                number = { type = "integer", minimum = 1, default = 32 },
                size = { type = "integer", minimum = 1, default = 4096 },
            },
            default = { number = 32, size = 4096 },
        },
        vary = { type = "boolean" },
    },
}

local _M = { version = 0.1, priority = 995, name = "gzip", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function has_type(conf, content_type)
    if conf.types == ANY then
        return true
    end
    content_type = match(content_type, "^[^;]*")
    for _, wanted in ipairs(conf.types) do
        if content_type == wanted then
            return true
        end
    end
    return false
end

-- Is the response one to compress? One without a type is not, one without a length may be: as nginx has it.
local function wanted(conf)
    local content_type = header["Content-Type"]
    if not content_type or not has_type(conf, content_type) then
        return false
    end
    local length = tonumber(header["Content-Length"])
    return not (length and length < conf.min_length) and http_version() >= conf.http_version
end

function _M.header_filter(conf, ctx)
    if not wanted(conf) then
        return
    end
    local buffers = conf.buffers
    core.log.info("set gzip with buffers: ", buffers.number, " ", buffers.size, ", level: ", conf.comp_level)
    local ok, err = runtime.set_gzip({
        buffer_num = buffers.number, buffer_size = buffers.size, compress_level = conf.comp_level,
    })
    if not ok then
        core.log.error("failed to set gzip: ", err)
        return
    end
    ctx.gzip_matched = true -- brotli leaves the response alone then
    if conf.vary then
        core.response.add_header("Vary", "Accept-Encoding")
    end
end

return _M
