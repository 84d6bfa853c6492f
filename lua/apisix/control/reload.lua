-- Owns the order to load all plugins again, given to one worker and heard by all. Must never decide which plugins.
local core = require "apisix.core"
local events = require "apisix.events"
local plugin = require "apisix.plugin"
local reload = require "apisix.plugin.reload"

local ngx = ngx

local EVENT, NAME = "control-api-plugin-reload", "PUT"

local _M = { EVENT = EVENT }

-- New code first, with its dependents, so that nothing old is loaded again; then all anew, as config.yaml says.
local function run()
    core.log.info("start to hot reload plugins")
    reload.run()
    plugin.load()
end

-- Hear the order from now on. Once per worker.
function _M.init_worker()
    events.init_worker()
    events:register(run, EVENT, NAME)
end

-- PUT /v1/plugins/reload: tell all workers.
function _M.answer()
    local ok, err = events:post(EVENT, NAME, ngx.time())
    if not ok then
        core.log.error("failed to tell the workers to reload their plugins: ", err)
        return 503, err
    end
    return 200, "done"
end

return _M
