-- Owns what a checker of an upstream has to probe: its nodes, under the address and the name that `checks` and
-- `pass_host` tell. Part of apisix.healthcheck_manager.
local core = require "apisix.core"
local healthcheck = require "resty.healthcheck"

local ipairs = ipairs

local DICT_NAME = "upstream-healthcheck"

local _M = { DICT_NAME = DICT_NAME }

-- The name of the checker of an upstream, or of what holds one as `upstream`.
function _M.name_of(value)
    return "upstream#" .. (value.resource_key or value.upstream.resource_key)
end

local function key_of(ip, port, hostname, hostheader)
    return ip .. ":" .. port .. ":" .. hostname .. ":" .. (hostheader or "")
end

-- The targets that an upstream should have, in the order of its nodes.
local function wanted_of(upstream)
    local active = upstream.checks.active or {}
    local rewritten = upstream.pass_host == "rewrite" and upstream.upstream_host or nil
    local wanted = {}
    for i, node in ipairs(upstream.nodes) do
        local target = {
            ip = node.host, port = active.port or node.port, hostname = active.host or node.host,
            hostheader = rewritten or node.domain,
        }
        target.key = key_of(target.ip, target.port, target.hostname, target.hostheader)
        wanted[i] = target
    end
    return wanted
end

local function complain(what, target, err)
    core.log.error("failed to ", what, " healthcheck target: ", target.ip, ":", target.port, " err: ", err)
end

-- Give the checker of an upstream the targets of its nodes. Those that are there keep their health.
function _M.sync(checker, upstream)
    local wanted, keys = wanted_of(upstream), {}
    for _, target in ipairs(wanted) do
        keys[target.key] = true
    end
    for _, target in ipairs(healthcheck.get_target_list(_M.name_of(upstream), DICT_NAME)) do
        if not keys[key_of(target.ip, target.port, target.hostname, target.hostheader)] then
            local ok, err = checker:remove_target(target.ip, target.port, target.hostname)
            if not ok then
                complain("remove", target, err)
            end
        end
    end
    for _, target in ipairs(wanted) do
        local ok, err = checker:add_target(target.ip, target.port, target.hostname, true, target.hostheader)
        if not ok then
            complain("add", target, err)
        end
    end
end

return _M
