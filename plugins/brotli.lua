-- Owns which responses are compressed by brotli, and the compressing. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name; without libbrotlienc it says so and lets responses be.
local core = require "apisix.core"

local gmatch = ngx.re.gmatch
local header = ngx.header
local http_version = ngx.req.http_version
local ipairs = ipairs
local match = string.match
local ngx = ngx
local pcall = pcall
local require = require
local set_header = core.response.set_header
local tonumber = tonumber

local is_loaded, brotli = pcall(require, "brotli")

local ANY = "*"
local LGWIN = { 0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 }

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
        mode = { type = "integer", minimum = 0, maximum = 2, default = 0 },
        comp_level = { type = "integer", minimum = 0, maximum = 11, default = 6 },
        lgwin = { type = "integer", default = 19, enum = LGWIN },
        lgblock = { type = "integer", default = 0, enum = { 0, 16, 17, 18, 19, 20, 21, 22, 23, 24 } },
        http_version = { enum = { 1.1, 1.0 }, default = 1.1 },
        vary = { type = "boolean" },
    },
}

local _M = { version = 0.1, priority = 996, name = "brotli", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- Does the client take brotli, or anything?
local function is_accepted(ctx)
    local accepted = core.request.header(ctx, "Accept-Encoding")
    if not accepted or accepted == ANY or accepted == "br" then
        return accepted ~= nil
    end
    for found in gmatch(accepted, [[([a-z\*]+)(;q=)?([0-9.]*)?]], "jo") do
        if (found[1] == "br" or found[1] == ANY) and not (found[2] and found[3] == "0") then
            return true
        end
    end
    return false
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
local function is_wanted(conf)
    local content_type = header["Content-Type"]
    if header["Content-Encoding"] or not content_type or not has_type(conf, content_type) then
        return false
    end
    local length = tonumber(header["Content-Length"])
    return not (length and length < conf.min_length) and http_version() >= conf.http_version
end

-- The entity is another one now: its tag may only say "much the same".
local function weaken_tag()
    local tag = header["Etag"]
    if not tag or match(tag, '^W/"[^"]*"$') then
        return
    end
    set_header("Etag", match(tag, '^"[^"]*"$') and "W/" .. tag or nil)
end

function _M.header_filter(conf, ctx)
    if not is_loaded then
        core.log.error("please check the brotli library")
        return
    elseif not is_accepted(ctx) or not is_wanted(conf) then
        return
    end
    if conf.vary then
        core.response.add_header("Vary", "Accept-Encoding")
    end
    local compressor = brotli.compressor:new({
        mode = conf.mode, quality = conf.comp_level, lgwin = conf.lgwin, lgblock = conf.lgblock,
    })
    if not compressor then
        core.log.error("failed to create brotli compressor")
        return
    end
    ctx.brotli_matched, ctx.compressor = true, compressor
    set_header("Content-Length", nil)
    set_header("Content-Encoding", "br")
    weaken_tag()
end

function _M.body_filter(_, ctx)
    if not ctx.brotli_matched then
        return
    end
    local chunk, last = ngx.arg[1], ngx.arg[2]
    local compressor = ctx.compressor
    local bytes = chunk ~= "" and compressor:compress(chunk) .. compressor:flush() or ""
    ngx.arg[1] = last and bytes .. compressor:finish() or bytes
end

return _M
