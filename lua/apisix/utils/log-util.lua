-- Owns log entries: what a logger plugin asks for about a request. The parts are made in log-util/.
-- Must never send or keep an entry. Mirrors apisix.utils.log-util.
local bodies = require "apisix.utils.log-util.bodies"
local core = require "apisix.core"
local format = require "apisix.utils.log-util.format"
local full = require "apisix.utils.log-util.full"
local plugin = require "apisix.plugin"

local ngx = ngx
local concat = table.concat
local date = os.date
local floor = math.floor
local ipairs = ipairs
local next = next
local pairs = pairs
local string_format = string.format
local type = type

local _M = {
    latency_details_in_ms = full.latencies,
    check_log_schema = bodies.check,
    check_and_read_req_body = bodies.read_request,
    collect_body = bodies.collect_response,
}

-- The entry of a log_format, with route_id and service_id besides. max_req_body_bytes: of $request_body.
function _M.get_custom_format_log(ctx, log_format, max_req_body_bytes)
    local entry = format.entry(ctx, log_format, max_req_body_bytes)
    local route = ctx.matched_route and ctx.matched_route.value
    if route then
        entry.service_id, entry.route_id = route.service_id, route.id
    end
    return entry
end

-- The default entry of the request that runs. conf: include_req_body(_expr), include_resp_body,
-- max_req_body_bytes. The first argument is not looked at.
function _M.get_full_log(_, conf)
    return full.entry(ngx.ctx.api_ctx, conf)
end

-- For tests of plugins: replace the two above.
function _M.inject_get_custom_format_log(replacement)
    _M.get_custom_format_log = replacement
end

function _M.inject_get_full_log(replacement)
    _M.get_full_log = replacement
end

-- Does one of the expressions hold?
local function is_match(match, ctx)
    for _, rules in pairs(match) do
        if bodies.holds(rules, ctx) then
            return true
        end
    end
    return false
end

local function filled(table_or_nil)
    return table_or_nil and next(table_or_nil) ~= nil and table_or_nil or nil
end

-- Add to the default entry what `log_format_extra` says, never in the stead of a field that is there.
-- Returns the added fields.
local function add_extra(ctx, conf, entry, extra)
    local made = format.entry(ctx, extra, conf.max_req_body_bytes)
    for name, value in pairs(made) do
        if entry[name] == nil then
            entry[name] = value
        end
    end
    return made
end

-- Returns the entry, whether it is of a custom format, and the additional fields of a default one. The
-- configuration says more than the plugin's metadata.
local function make(conf, ctx, meta)
    local custom = conf.log_format or meta and filled(meta.log_format)
    if custom then
        return _M.get_custom_format_log(ctx, custom, conf.max_req_body_bytes), true, nil
    end
    local entry = _M.get_full_log(ngx, conf)
    local extra = conf.log_format_extra
    if extra == nil and meta then
        extra = meta.log_format_extra
    end
    if entry and filled(extra) then
        return entry, false, add_extra(ctx, conf, entry, extra)
    end
    return entry, false, nil
end

-- The entry of this request for a logger. Returns it, whether it is of a custom format, and what
-- log_format_extra adds; nothing when conf.match has it not logged.
function _M.get_log_entry(plugin_name, conf, ctx)
    if conf.match and not is_match(conf.match, ctx) then
        return nil
    end
    local metadata = plugin.plugin_metadata(plugin_name)
    local entry, customized, extra = make(conf, ctx, metadata and metadata.value)
    if entry then
        entry.llm_summary = ctx.llm_summary
        entry.llm_request = ctx.llm_request
        entry.llm_response_text = ctx.llm_response_text
    end
    return entry, customized, extra
end

local function add_header(out, name, value)
    if type(value) ~= "table" then
        return core.table.insert_tail(out, name, ": ", value, "\r\n")
    end
    for _, each in ipairs(value) do
        core.table.insert_tail(out, name, ": ", each, "\r\n")
    end
end

-- The request as text: its line, its headers, and its body when conf says so.
function _M.get_req_original(ctx, conf)
    local out = { ctx.var.request, "\r\n" }
    for name, value in pairs(ctx.data_mask_headers or ngx.req.get_headers()) do
        add_header(out, name, value)
    end
    out[#out + 1] = "\r\n"
    if conf.include_req_body then
        out[#out + 1] = bodies.of_request(conf.max_req_body_bytes)
    end
    return concat(out)
end

-- "2026-01-31T23:59:59.123Z". timestamp: seconds, default now.
function _M.get_rfc3339_zulu_timestamp(timestamp)
    if not timestamp then
        ngx.update_time()
        timestamp = ngx.now()
    end
    local seconds = floor(timestamp)
    return date("!%Y-%m-%dT%H:%M:%S", seconds) .. string_format(".%03dZ", floor((timestamp - seconds) * 1000))
end

return _M
