-- Owns conversations of commands and answers over a WebSocket: a plugin says what answers a command. Mirrors
-- apisix.core.pubsub; its messages need no compiler here.
local log = require "apisix.core.log"
local messages = require "apisix.core.pubsub.messages"
local protobuf = require "apisix.core.pubsub.protobuf"

local pcall = pcall
local require = require
local setmetatable = setmetatable

local _M = { version = 0.1 }
local mt = { __index = _M }

local function send(ws, sequence, answer)
    answer.sequence = sequence
    local ok, text = pcall(protobuf.encode, messages.response, answer)
    if not ok then
        log.error("failed to encode response message, err: ", text)
        return
    end
    local _, err = ws:send_binary(text)
    if err then
        log.error("failed to send response to client, err: ", err)
    end
end

local function send_error(ws, sequence, message)
    send(ws, sequence, { error_resp = { code = 0, message = message } })
end

-- Make the request, which must ask for it, a WebSocket. Returns an object that answers cmd_ping, or nil, err.
function _M.new()
    local ws, err = require("resty.websocket.server"):new()
    if not ws then
        return nil, err
    end
    local self = setmetatable({ ws_server = ws, cmd_handler = {} }, mt)
    self:on("cmd_ping", function(params)
        return { pong_resp = params }
    end)
    return self
end

-- Have handler(params) -> answer, or nil, err, answer a command such as "cmd_kafka_fetch". answer: a table with one
-- key, the name of the response.
function _M:on(command, handler)
    self.cmd_handler[command] = handler
end

local function answer_command(self, text)
    local ws = self.ws_server
    local request, err = protobuf.decode(messages.request, text)
    if not request then
        log.error("pubsub server receives undecodable data, err: ", err)
        return send_error(ws, 0, "wrong command")
    end
    local command = request.req
    if not command then
        log.warn("pubsub server receives empty command")
        return
    end
    local handler = self.cmd_handler[command]
    if not handler then
        log.error("pubsub callback handler not registered for the command, command: ", command)
        return send_error(ws, request.sequence, "unknown command")
    end
    local answer
    answer, err = handler(request[command])
    if not answer then
        return send_error(ws, request.sequence, err)
    end
    send(ws, request.sequence, answer)
end

-- Answer commands until the client ends the conversation, which is answered, or the connection fails, which is
-- logged.
function _M:wait()
    local ws = self.ws_server
    while true do
        local data, kind, err = ws:recv_frame()
        if kind == "close" then -- err is its code
            break
        elseif err and ws.fatal then
            log.error("fatal error in pubsub websocket server, err: ", err)
            break
        elseif err then
            log.error("failed to receive websocket frame: ", err)
        elseif kind ~= "binary" then
            log.warn("pubsub server receive non-binary data, type: ", kind, ", data: ", data)
        else
            answer_command(self, data)
        end
    end
    ws:send_close()
end

return _M
