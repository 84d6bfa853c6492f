-- Owns a provider's answer that comes as a whole: reading it within its limit, what it says, passing it on.
-- Source: APISIX 3.18's documentation of ai-proxy. Must never change the answer.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local usage = require "apisix.plugins.ai-proxy.usage"

local concat = table.concat
local tonumber, type = tonumber, type

local TOO_LONG = "max_response_bytes exceeded"

local _M = {}

-- Read a body of at most `limit` bytes (nil: any). Returns it; or nil, an error text and the status to answer with.
local function read(res, limit)
    local announced = limit and tonumber(res.headers["Content-Length"])
    if announced and announced > limit then
        core.log.warn("aborting AI response: Content-Length ", announced, " exceeds max_response_bytes ", limit)
        return nil, TOO_LONG, 502
    end
    local pieces, n, length = {}, 0, 0
    while true do
        local piece, err = res.body_reader(65536)
        if err then
            core.log.warn("failed to read response body: ", err)
            return nil, err, 500
        elseif not piece then
            return concat(pieces)
        end
        n, length = n + 1, length + #piece
        pieces[n] = piece
        if limit and length > limit then
            core.log.warn("aborting AI response: body size exceeds max_response_bytes ", limit, " (read ", length,
                " bytes)")
            return nil, TOO_LONG, 502
        end
    end
end

local function note(ctx, protocol, body)
    local raw = type(body.usage) == "table" and protocol.usage and body.usage or nil
    usage.set(ctx, raw and protocol.usage(raw) or {}, raw)
    if not protocol.answer then
        return
    end
    local text, tools = protocol.answer(body)
    if text then
        ctx.var.llm_response_text = text
    end
    if tools then
        ctx.var.llm_has_tool_calls = "true"
    end
end

-- Pass the answer on to the client. Returns nothing, or the status to answer with and a body.
function _M.pass(conf, ctx, res, protocol)
    local text, err, status = read(res, conf.max_response_bytes)
    if not text then
        return status, err
    end
    ngx.status = res.status
    local elapsed = usage.elapsed(ctx)
    ctx.var.llm_time_to_first_token, ctx.var.apisix_upstream_response_time = elapsed, elapsed
    local body
    body, err = core.json.decode(text, { null_as_nil = true })
    if type(body) == "table" then
        note(ctx, protocol, body)
    else
        core.log.warn("failed to decode response from ai service, err: ", err or "not an object",
            ", it will cause token usage not available")
    end
    plugin.lua_response_filter(ctx, res.headers, text)
end

return _M
