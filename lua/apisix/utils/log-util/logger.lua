-- Owns what logger plugins have in common: their settings, and the way of an entry into a batch. Must never know
-- where a batch goes. Part of apisix.utils.log-util.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"

local encode_json = core.json.encode
local pairs = pairs

local _M = {}

local function expression()
    return { type = "array", minItems = 1, items = { type = "array" } }
end

-- The schema's properties of every logger, with its own, which win.
function _M.properties(own)
    local all = {
        log_format = { type = "object" },
        log_format_extra = { type = "object" },
        include_req_body = { type = "boolean", default = false },
        include_req_body_expr = expression(),
        include_resp_body = { type = "boolean", default = false },
        include_resp_body_expr = expression(),
        max_req_body_bytes = { type = "integer", minimum = 1, default = 524288 },
        max_resp_body_bytes = { type = "integer", minimum = 1, default = 524288 },
    }
    for name, property in pairs(own) do
        all[name] = property
    end
    return all
end

-- The schema of a logger's metadata.
function _M.metadata_schema(own)
    local properties = { log_format = { type = "object" }, log_format_extra = { type = "object" } }
    for name, property in pairs(own or {}) do
        properties[name] = property
    end
    return { type = "object", properties = properties }
end

-- A batch as JSON: an object when a batch is one entry by configuration, else an array. Returns text, or nil, err.
function _M.encode(entries, batch_max_size)
    if batch_max_size == 1 then
        return encode_json(entries[1])
    end
    return encode_json(entries)
end

-- In log: have an entry processed with the next batch. manager: of apisix.utils.batch-processor-manager; make(conf):
-- makes what processes batches of this configuration.
function _M.push(manager, conf, ctx, entry, make)
    if not manager:add_entry(conf, entry) then
        manager:add_entry_to_new_processor(conf, entry, ctx, make(conf))
    end
end

-- The same for the request's entry. amend(entry, conf, ctx), optional: changes it.
function _M.log(manager, plugin_name, conf, ctx, make, amend)
    local entry = log_util.get_log_entry(plugin_name, conf, ctx)
    if not entry then
        return
    end
    if amend then
        amend(entry, conf, ctx)
    end
    return _M.push(manager, conf, ctx, entry, make)
end

-- Routes have names in entries, even where there is none.
function _M.name_route(entry)
    entry.route_id = entry.route_id or "no-matched"
end

return _M
