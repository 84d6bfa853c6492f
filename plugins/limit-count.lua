-- Owns the limiting of requests by their number in a window of time. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name; the work is done in limit-count/, which other plugins may call too.
local limit_count = require "apisix.plugins.limit-count.init"

local error = error
local find = string.find
local pcall = pcall
local require = require

local NAME, WORKFLOW = "limit-count", "apisix.plugins.workflow"

local _M = {
    version = 0.5,
    priority = 1002,
    name = NAME,
    schema = limit_count.schema,
    metadata_schema = limit_count.metadata_schema,
    check_schema = limit_count.check_schema,
}

function _M.access(conf, ctx)
    return limit_count.rate_limit(conf, ctx, NAME, 1)
end

-- Be an action of the plugin workflow, if that is here.
function _M.workflow_handler()
    local ok, workflow = pcall(require, WORKFLOW)
    if not ok then
        if not find(workflow, "module '" .. WORKFLOW .. "' not found", 1, true) then
            error(workflow, 0)
        end
        return
    end
    workflow.register(NAME, function(conf)
        return limit_count.check_schema(conf)
    end, _M.access)
end

return _M
