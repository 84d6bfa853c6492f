-- The application of the cycle's tests: it watches "/things" and twelve others; the test hears of applied changes
-- through bridge.call.config_changed. What the test asks stands in the global `probe`.
local cjson = require "cjson.safe"
local config = require "apisix.core.config"
local config_util = require "apisix.core.config_util"

local app = {}

local probe = { filtered = {} }
_G.probe = probe

local function check(value)
    if value.bad then
        return nil, "bad thing"
    elseif value.explode then
        error("the checker exploded")
    end
    return true
end

local function filter(item)
    probe.filtered[#probe.filtered + 1] = item
    if item.value and item.value.explode_later then
        error("the filter exploded")
    end
end

function app.init()
    probe.init_ok, probe.init_err = config.init()
end

function app.init_worker()
    config.init_worker()
    probe.things = assert(config.new("/things", { automatic = true, checker = check, filter = filter }))
    probe.single = assert(config.new("/single", { automatic = true, single_item = true, checker = check }))
    for i = 1, 11 do
        assert(config.new("/other" .. i, { automatic = true }))
    end
end

function app.exit_worker()
    if config.exit_worker then
        config.exit_worker()
    end
end

function app.content()
    ngx.say("ok")
end

local function id_of(item)
    return item.value.id
end

-- JSON of what the directory holds: {ids, n of each id, conf_version, prev_index, length with holes}.
function probe.state()
    local things, items = probe.things, {}
    for _, item in config_util.iterate_values(things.values) do
        items[id_of(item)] = item.value.n
    end
    return cjson.encode({
        items = items,
        conf_version = things.conf_version,
        prev_index = things.prev_index,
        slots = #things.values,
        need_reload = things.need_reload,
    })
end

-- Whether every item is found by its id, at its place.
function probe.consistent()
    local things = probe.things
    local n = 0
    for i, item in config_util.iterate_values(things.values) do
        n = n + 1
        if things:get(id_of(item)) ~= item or things.values_hash[id_of(item)] ~= i then
            return false
        end
    end
    local hashed = 0
    for _ in pairs(things.values_hash) do
        hashed = hashed + 1
    end
    return n == hashed
end

function probe.remember()
    probe.before = { values = probe.things.values, items = {} }
    for _, item in config_util.iterate_values(probe.things.values) do
        probe.before.items[id_of(item)] = item
    end
end

-- Whether the item of that id is still the object that it was at remember().
function probe.same(id)
    return probe.things:get(id) == probe.before.items[id]
end

function probe.same_values()
    return probe.things.values == probe.before.values
end

return app
