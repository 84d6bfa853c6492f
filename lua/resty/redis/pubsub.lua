-- Owns subscriptions: the commands that begin and end them, and the reading of messages (API and texts of
-- openresty/lua-resty-redis). Part of resty.redis.
local ipairs = ipairs
local max = math.max
local pairs = pairs
local rawget = rawget
local remove = table.remove
local select = select
local type = type

-- What a channel's messages are called, by the command that ends their coming.
local MESSAGE_OF = { unsubscribe = "message", punsubscribe = "pmessage" }
local ENDED_BY = { subscribe = "unsubscribe", psubscribe = "punsubscribe" }

local function forget_messages(self, kind, channel)
    local kept = {}
    for _, message in ipairs(rawget(self, "_messages") or {}) do
        if message[1] ~= kind or message[2] ~= channel then
            kept[#kept + 1] = message
        end
    end
    self._messages = kept[1] and kept or nil
end

-- Keep count of the channels by what redis confirms.
local function note(self, reply)
    local kind = type(reply) == "table" and reply[1]
    local channels = self._channels
    if ENDED_BY[kind] then
        channels[ENDED_BY[kind]] = channels[ENDED_BY[kind]] + 1
    elseif MESSAGE_OF[kind] then
        channels[kind] = max(channels[kind] - 1, 0)
        forget_messages(self, MESSAGE_OF[kind], reply[2])
        self._subscribed = reply[3] ~= 0
    end
end

-- Give the class Redis its methods. run(self, command, …) sends a command and returns its reply, read(self)
-- returns the next reply; both nil, err on failure.
return function(Redis, run, read)
    -- All replies to a command: the first and those that follow until is_last(count). Or nil, err.
    local function read_rest(self, first, is_last)
        local replies = { first }
        while not is_last(#replies) do
            local reply, err = read(self)
            if not reply then
                return nil, err
            end
            note(self, reply)
            replies[#replies + 1] = reply
        end
        return replies
    end

    -- subscribe(channel, …): one channel's confirmation, or an array of them; or nil, err.
    for command in pairs(ENDED_BY) do
        Redis[command] = function(self, ...)
            self._subscribed = true
            local reply, err = run(self, command, ...)
            if not reply then
                return nil, err
            end
            note(self, reply)
            local count = select("#", ...)
            if count <= 1 then
                return reply
            end
            return read_rest(self, reply, function(n)
                return n == count
            end)
        end
    end

    -- unsubscribe(channel, …), of all channels without any: as subscribe.
    for command in pairs(MESSAGE_OF) do
        Redis[command] = function(self, ...)
            if not self._subscribed then
                return nil, "not subscribed"
            end
            local reply, err = run(self, command, ...)
            if not reply then
                return nil, err
            end
            note(self, reply)
            local count = select("#", ...)
            if count == 1 or self._channels[command] == 0 then
                return reply
            end
            return read_rest(self, reply, function(n)
                return n == count or self._channels[command] == 0
            end)
        end
    end

    -- The next message of a subscribed channel, or nil, err.
    function Redis:read_reply()
        if not self._subscribed then
            return nil, "not subscribed"
        end
        local messages = rawget(self, "_messages")
        if messages then
            local message = remove(messages, 1)
            self._messages = messages[1] and messages or nil
            return message
        end
        local reply, err = read(self)
        note(self, reply)
        return reply, err
    end
end
