-- Owns the table of contents of the Control API's own paths, below /v1. What they do stands in the files beside this
-- one. Mirrors apisix.control.v1.
local dump = require "apisix.control.dump"
local health = require "apisix.control.health"
local reload = require "apisix.control.reload"
local settled = require "apisix.control.settled"

local collectgarbage = collectgarbage

local function collect()
    collectgarbage()
    return 200
end

local GET = { "GET" }

return {
    { methods = GET, uris = { "/schema" }, handler = dump.schema },
    { methods = GET, uris = { "/healthcheck" }, handler = health.show_all },
    { methods = GET, uris = { "/healthcheck/*" }, handler = health.show_one },
    { methods = { "POST" }, uris = { "/gc" }, handler = collect },
    { methods = GET, uris = { "/routes" }, handler = dump.routes },
    { methods = GET, uris = { "/route/*" }, handler = dump.route },
    { methods = GET, uris = { "/services" }, handler = dump.services },
    { methods = GET, uris = { "/service/*" }, handler = dump.service },
    { methods = GET, uris = { "/upstreams" }, handler = dump.upstreams },
    { methods = GET, uris = { "/upstream/*" }, handler = dump.upstream },
    { methods = GET, uris = { "/plugin_metadatas" }, handler = dump.metadatas },
    { methods = GET, uris = { "/plugin_metadata/*" }, handler = dump.metadata },
    { methods = { "PUT" }, uris = { "/plugins/reload" }, handler = reload.answer },
    { methods = GET, uris = { "/config/settled" }, handler = settled.answer },
    get_health_checkers = health.list,
    reload_event = reload.EVENT,
}
