-- Owns a provider's answer that comes piece by piece: each goes on to the client at once, and is listened to.
-- Source: APISIX 3.18's documentation of ai-proxy. Must never hold a piece back.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local sse = require "apisix.plugins.ai-proxy.sse"
local usage = require "apisix.plugins.ai-proxy.usage"

local concat, insert = table.concat, table.insert
local find = string.find
local ipairs, setmetatable, type = ipairs, setmetatable, type
local ngx = ngx
local now, sleep = ngx.now, ngx.sleep

local PIECE = 65536

local Stream = {}
Stream.__index = Stream

local _M = {}

-- Take what an event says into the variables.
function Stream:note(event)
    local ctx, protocol = self.ctx, self.protocol
    local said = protocol.event and protocol.event(event)
    if not said then
        return
    end
    if said.tools then
        ctx.var.llm_has_tool_calls = "true"
    end
    if said.text then
        insert(self.texts, said.text)
        insert(ctx.llm_response_contents_in_chunk, said.text)
    end
    if said.usage then
        usage.add(ctx, protocol.usage(said.usage), said.usage)
        ctx.var.llm_response_text = concat(self.texts)
    end
    if said.done then
        ctx.var.llm_request_done = true
    end
end

function Stream:listen(piece)
    local ctx = self.ctx
    local events, rest = sse.cut(self.rest .. piece)
    self.rest = rest
    ctx.llm_response_contents_in_chunk = {}
    ctx.llm_response_chunk_seq = (ctx.llm_response_chunk_seq or 0) + 1
    for _, event in ipairs(events) do
        self:note(event)
    end
end

-- Send what was passed on, now and then, as long as the stream goes on.
local function flush_now_and_then(self, seconds)
    while not self.ended do
        sleep(seconds)
        if self.unsent then
            self.unsent = false
            local ok, err = ngx.flush(false)
            if not ok then
                self.gone = err
                return
            end
        end
    end
end

-- Pass a piece, "" to let plugins see the end, through them to the client. Returns whether the client is still there.
function Stream:send(piece)
    local lazy = self.flusher ~= nil and piece ~= ""
    local ok, err = plugin.lua_response_filter(self.ctx, self.res.headers, piece, lazy or nil, true)
    self.unsent, self.sent = lazy, true
    if not ok then
        self.gone = err
    end
    return not self.gone
end

-- The limit that the stream has passed, if any.
function Stream:passed_limit()
    local conf = self.conf
    if self.deadline and now() >= self.deadline then
        return "max_stream_duration_ms"
    elseif conf.max_response_bytes and self.length > conf.max_response_bytes then
        return "max_response_bytes"
    end
    return nil
end

-- The provider is cut off. why: for plugins, in ctx.ai_stream_aborted.
function Stream:abort(why)
    self.ctx.ai_stream_aborted = why
    self.client:close()
    self.ctx.var.llm_request_done = true
end

function Stream:cut_off(limit)
    core.log.warn("aborting AI stream: ", limit, " exceeded; bytes=", self.length, " duration_ms=",
        usage.elapsed(self.ctx), " route_id=", self.ctx.var.route_id or "")
    self:abort(limit)
    self:send("")
end

function Stream:disconnected()
    core.log.info("client disconnected during AI streaming, aborting upstream read: ", self.gone)
    self:abort("client_disconnect")
end

function Stream:finish()
    if #self.rest > 0 then
        core.log.warn("dropping incomplete stream frame at EOF, size: ", #self.rest)
    end
    if not self.ctx.var.llm_request_done then
        self.ctx.var.llm_request_done = true
        self:send("")
    elseif not self.gone then
        ngx.flush(true)
    end
end

-- Read and pass on until the end. Returns the error text of a read that failed.
function Stream:run()
    local ctx, reader = self.ctx, self.reader
    while not self.gone do
        local piece, err = reader()
        if err then
            ctx.ai_stream_aborted = "read_error"
            core.log.warn("failed to read response chunk: ", err)
            return err
        elseif not piece then
            return self:finish()
        end
        if self.length == 0 then
            ctx.var.llm_time_to_first_token = usage.elapsed(ctx)
        end
        self.length = self.length + #piece
        self:listen(piece)
        if not self:send(piece) then
            break
        end
        local limit = self:passed_limit()
        if limit then
            return self:cut_off(limit)
        end
        sleep(0) -- others' turn: a fast provider and a fast client would take all of it
    end
    self:disconnected()
end

-- A reader of what is there: without a chunk's framing the library's would wait for the end.
local function reader_of(res)
    if res.headers["Transfer-Encoding"] then
        return res.body_reader
    end
    return function()
        return res.body_reader(PIECE)
    end
end

-- Whether a response is a stream of events.
function _M.is_stream(res)
    local kind = res.headers["Content-Type"]
    return type(kind) == "string" and find(kind, "text/event-stream", 1, true) ~= nil
end

-- Pass the stream on to the client. Returns nothing, or the error text of a read that failed before anything was sent:
-- afterwards no status can say it, and ctx.ai_stream_aborted does.
function _M.pass(conf, ctx, res, client, protocol)
    ctx.ai_stream_framing, ctx.ai_stream_aborted = "sse", nil
    ngx.status = res.status
    local limit = conf.max_stream_duration_ms
    local self = setmetatable({
        conf = conf, ctx = ctx, res = res, client = client, protocol = protocol, reader = reader_of(res),
        texts = {}, rest = "", length = 0, deadline = limit and ctx.llm_request_start_time + limit / 1000,
    }, Stream)
    if conf.streaming_flush_interval_ms > 0 then
        self.flusher = ngx.thread.spawn(flush_now_and_then, self, conf.streaming_flush_interval_ms / 1000)
    end
    local err = self:run()
    self.ended = true
    if self.flusher then
        ngx.thread.kill(self.flusher)
    end
    ctx.var.apisix_upstream_response_time = usage.elapsed(ctx)
    return not self.sent and err or nil
end

return _M
