-- Owns the list of peers that may speak for others (apisix.trusted_addresses in config.yaml).
-- Mirrors apisix.utils.trusted-addresses.
local core = require "apisix.core"

local matcher

local _M = {}

function _M.init_worker()
    local addresses = core.table.try_read_attr(core.config.local_conf(), "apisix", "trusted_addresses")
    if not addresses then
        return
    end
    local err
    matcher, err = core.ip.create_ip_matcher(addresses)
    if not matcher then
        core.log.error("failed to create ip matcher for trusted_addresses: ", err)
    end
end

function _M.is_trusted(address)
    return matcher ~= nil and matcher:match(address)
end

-- Is there a list at all?
function _M.is_configured()
    return matcher ~= nil
end

return _M
