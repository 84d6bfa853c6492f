-- Owns an id for every request, made here or by the client, for the upstream, the response and the logs. Configuration
-- and behaviour are those of APISIX 3.18's plugin of this name. Must never replace an id that the client sent.
local bit = require "bit"
local core = require "apisix.core"
local ksuid = require "resty.ksuid"
local new_tab = require "table.new"
local resty_random = require "resty.random"
local uuid = require "resty.jit-uuid"

local ngx = ngx
local band = bit.band
local byte, sub = string.byte, string.sub
local concat = table.concat
local random = math.random

-- The G in the place of a J is APISIX's: ids look the same there and here.
local CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIGKLMNOPQRSTUVWXYZ0123456789"
local LENGTH = 16

-- 64 characters: six random bits choose one of them, all alike.
local NANOID_CHARACTERS = "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
local NANOID_LENGTH = 21

local range_schema = {
    type = "object",
    properties = {
        char_set = { type = "string", minLength = 6, default = CHARACTERS }, -- of fewer, ids would meet too soon
        length = { type = "integer", minimum = 6, default = LENGTH },
    },
    default = { char_set = CHARACTERS, length = LENGTH },
}

local schema = {
    type = "object",
    properties = {
        algorithm = {
            type = "string",
            enum = { "uuid", "nanoid", "range_id", "ksuid", "uuidv7" },
            default = "uuid",
        },
        header_name = { type = "string", default = "X-Request-Id" },
        include_in_response = { type = "boolean", default = true },
        range_id = range_schema,
    },
}

local _M = { version = 0.1, priority = 12015, name = "request-id", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function nanoid()
    local bytes = resty_random.bytes(NANOID_LENGTH)
    local id = new_tab(NANOID_LENGTH, 0)
    for i = 1, NANOID_LENGTH do
        local at = band(byte(bytes, i), 63) + 1
        id[i] = sub(NANOID_CHARACTERS, at, at)
    end
    return concat(id)
end

local function range_id(conf)
    local range = conf.range_id
    local characters, length = range.char_set, range.length
    local id = new_tab(length, 0)
    for i = 1, length do
        local at = random(#characters)
        id[i] = sub(characters, at, at)
    end
    return concat(id)
end

local MAKERS = {
    uuid = function() return uuid() end,
    uuidv7 = core.utils.generate_uuid_v7,
    nanoid = nanoid,
    range_id = range_id,
    ksuid = ksuid.generate,
}

local function is_missing(value)
    return value == nil or value == ""
end

function _M.rewrite(conf, ctx)
    local name = conf.header_name
    local id = core.request.headers(ctx)[name]
    if is_missing(id) then
        id = MAKERS[conf.algorithm](conf)
        core.request.set_header(ctx, name, id)
    end
    if conf.include_in_response then
        ctx["request-id-" .. name] = id
    end
    ctx.var.apisix_request_id = id -- what the logs tell
end

function _M.header_filter(conf, ctx)
    local name = conf.header_name
    if conf.include_in_response and is_missing(ngx.header[name]) then
        core.response.set_header(name, ctx["request-id-" .. name])
    end
end

return _M
