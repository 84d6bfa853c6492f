-- Owns the way of events between the workers of one gateway: a log in a shared dictionary, numbered, which each worker
-- that listens reads on ten times a second. An event stays there for half a minute. Part of resty.events.
local json = require "cjson.safe"

local now = ngx.now
local setmetatable = setmetatable
local shared = ngx.shared
local timer_at = ngx.timer.at

local ERR, log = ngx.ERR, ngx.log
local INTERVAL = 0.1 -- seconds between two looks
local KEPT = 30 -- seconds that an event can be read
local PATIENCE = 1 -- seconds that one with a number and no text yet is waited for: who writes it may have died

local Channel = {}
Channel.__index = Channel

-- dict_name: a shared dictionary. handle(event): gets what post() was given, in a timer. Returns a channel that sees
-- what is posted from now on; or nil, err.
local function new(dict_name, handle)
    local dict = shared[dict_name]
    if not dict then
        return nil, "shared dict not found: " .. dict_name
    end
    return setmetatable({ dict = dict, handle = handle, seen = dict:get("last") or 0 }, Channel)
end

-- One of the workers alone handles an event with `unique`.
local function is_mine(self, event, number)
    return not event.unique or self.dict:add("taken:" .. number, true, KEPT)
end

-- Is the next event lost, or on its way?
local function is_overdue(self)
    self.missed_at = self.missed_at or now()
    return now() - self.missed_at >= PATIENCE
end

local function read_on(self)
    while self.seen < (self.dict:get("last") or 0) do
        local text = self.dict:get("event:" .. self.seen + 1)
        if not text and not is_overdue(self) then
            return
        end
        self.seen, self.missed_at = self.seen + 1, nil
        local event = text and json.decode(text)
        if event and is_mine(self, event, self.seen) then
            self.handle(event)
        end
    end
end

local function look(premature, self)
    if premature or not self.listens then
        self.looks = false
        return
    end
    read_on(self)
    local ok, err = timer_at(INTERVAL, look, self)
    if not ok then
        self.looks = false
        log(ERR, "worker-events: no more events are seen: ", err)
    end
end

-- Begin, or end, to look for events.
function Channel:listen(listens)
    if listens and not self.looks then
        self.seen = self.dict:get("last") or 0
        self.looks = timer_at(INTERVAL, look, self) and true
    end
    self.listens = listens
end

-- event: a table that JSON can carry. event.unique: a text; of several such events within `seconds` one counts.
-- Returns true, or nil, err.
function Channel:post(event, seconds)
    if event.unique then
        local ok, err = self.dict:add("unique:" .. event.unique, true, seconds)
        if not ok then
            return err == "exists" or nil, err
        end
    end
    local text, err = json.encode(event)
    if not text then
        return nil, err
    end
    local number
    number, err = self.dict:incr("last", 1, 0)
    if not number then
        return nil, err
    end
    return self.dict:set("event:" .. number, text, KEPT)
end

return { new = new }
