-- Owns the shared dictionary of all processes' metrics: what stands there, and the list of the series that do, so that
-- nobody has to walk through the whole dictionary. Part of the module prometheus.
--
--     ID              value of a counter or gauge, sum of a histogram; ID is the name with its labels
--     ID \1 n         how many observations fell into a histogram's bucket n (not into those below)
--     …key_count      how many series were listed ever
--     …key_n          ID of the n-th
--     …first          from which n on to look
--     …meta_NAME      type, help and bounds of a metric, for processes that have not registered it
local names = require "prometheus.names"

local concat = table.concat
local format = string.format
local gmatch, match = string.gmatch, string.match
local select = select
local setmetatable = setmetatable
local tonumber = tonumber

local COUNT = names.RESERVED .. "key_count"
local FIRST = names.RESERVED .. "first"
local KEY = names.RESERVED .. "key_"
local META = names.RESERVED .. "meta_"

local FULL = "Shared dictionary used for prometheus metrics is full. REPORTED METRIC DATA MIGHT BE INCOMPLETE. "
    .. "Please increase the size of the dictionary or decrease metric cardinality."

local _M = { FULL = FULL }
local mt = { __index = _M }

-- fail(key, value, err): told when something cannot be kept.
function _M.new(dict, fail)
    return setmetatable({ dict = dict, fail = fail }, mt)
end

local function check(self, key, value, err, forcible)
    if err or forcible then
        self.fail(key, value, err or FULL)
    end
end

-- Have a series listed, with the value 0 if it is not there. Whoever adds the value lists it, so it is listed once.
function _M:announce(id, exptime)
    local dict = self.dict
    local added, err, forcible = dict:add(id, 0, exptime or 0)
    if not added then
        if err ~= "exists" then
            check(self, id, 0, err)
        end
        return
    end
    check(self, id, 0, nil, forcible)
    local number
    number, err, forcible = dict:incr(COUNT, 1, 0)
    if number then
        local _
        _, err, forcible = dict:set(KEY .. number, id)
    end
    check(self, id, 0, err, forcible)
end

-- Add to a value; one that is not there (any more) is listed anew.
function _M:incr(id, value, exptime)
    local dict = self.dict
    local new, err = dict:incr(id, value)
    if not new and err == "not found" then
        self:announce(id, exptime)
        err = select(2, dict:incr(id, value, 0))
    end
    check(self, id, value, err)
    if exptime then
        dict:expire(id, exptime)
    end
end

-- Add to what is part of a series, which lives as long as the whole.
function _M:incr_part(key, value, exptime)
    if value > 0 then
        local _, err, forcible = self.dict:incr(key, value, 0)
        check(self, key, value, err, forcible)
    end
    if exptime then
        self.dict:expire(key, exptime)
    end
end

function _M:set(id, value, exptime)
    local ok, err, forcible = self.dict:replace(id, value, exptime or 0)
    if not ok and err == "not found" then
        self:announce(id, exptime)
        ok, err, forcible = self.dict:set(id, value, exptime or 0)
    end
    check(self, id, value, not ok and err or nil, forcible)
end

function _M.part(id, number)
    return id .. "\1" .. number
end

-- parts: how many a series has.
function _M:delete(id, parts)
    self.dict:delete(id)
    for i = 1, parts do
        self.dict:delete(_M.part(id, i))
    end
end

local function first_listed(dict, first, count)
    while first <= count and not dict:get(KEY .. first) do
        first = first + 1
    end
    return first
end

-- pause(): called after each series. Returns the IDs of all series, and their values by ID.
function _M:list(pause)
    local dict = self.dict
    local ids, values = {}, {}
    local count = dict:get(COUNT) or 0
    local first = first_listed(dict, dict:get(FIRST) or 1, count)
    dict:set(FIRST, first)
    for i = first, count do
        local id = dict:get(KEY .. i)
        local value = id and dict:get(id)
        if value and values[id] == nil then
            ids[#ids + 1] = id
            values[id] = value
        elseif id then -- deleted or expired; or listed again before its old place was looked at
            dict:delete(KEY .. i)
        end
        pause()
    end
    return ids, values
end

-- Keep what a metric is, for other processes.
function _M:describe(metric)
    self.dict:set(META .. metric.name, format("%s\1%s\1%s", metric.type, metric.help or "",
        concat(metric.buckets or {}, ",")))
end

-- A metric that another process has registered: {name, type, help, buckets}, or nil.
function _M:described(name)
    local kind, help, bounds = match(self.dict:get(META .. name) or "", "^(.-)\1(.-)\1(.*)$")
    if not kind then
        return nil
    end
    local buckets = {}
    for bound in gmatch(bounds, "[^,]+") do
        buckets[#buckets + 1] = tonumber(bound)
    end
    return { name = name, type = kind, help = help ~= "" and help or nil, buckets = buckets }
end

return _M
