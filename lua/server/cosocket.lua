-- Owns cosockets: sockets of user code that look blocking and are not. They work in every phase. The table of
-- their methods; each half stands in a file of its own.
-- Source: the ngx_lua documentation, "ngx.socket.tcp".
local closing = require "server.cosocket_closing"
local connecting = require "server.cosocket_connecting"
local check_wait = require("server.restrictions").check_wait
local options = require "server.cosocket_options"
local reading = require "server.cosocket_reading"
local tls = require "server.cosocket_tls"
local writing = require "server.cosocket_writing"

local error, select, setmetatable = error, select, setmetatable

local Socket = {
    connect = connecting.connect, bind = connecting.bind,
    send = writing.send,
    receive = reading.receive, receiveany = reading.receiveany, receiveuntil = reading.receiveuntil,
    settimeout = options.settimeout, settimeouts = options.settimeouts,
    setoption = options.setoption, getoption = options.getoption, getfd = options.getfd,
    setkeepalive = closing.setkeepalive, getreusedtimes = closing.getreusedtimes, close = closing.close,
    sslhandshake = tls.sslhandshake, setclientcert = tls.setclientcert, settrustedstore = tls.settrustedstore,
    getsslpointer = tls.getsslpointer, getsslctx = tls.getsslctx, getsslsession = tls.getsslsession,
}
Socket.__index = Socket
closing.at_end(Socket, closing.abandon)

-- User code that extends cosockets finds their metatable where ngx_lua keeps it.
debug.getregistry().__tcp_cosocket_mt = Socket

local _M = { Socket = Socket, close_all = closing.close_all }

-- A new TCP (or unix stream) socket.
function _M.tcp(...)
    local n = select("#", ...)
    if n ~= 0 then
        error("expecting zero arguments, but got " .. n, 2)
    end
    check_wait(2)
    return setmetatable({}, Socket)
end

return _M
