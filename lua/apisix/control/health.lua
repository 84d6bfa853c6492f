-- Owns what the Control API tells of health checks: each item with some, its nodes and their state, as JSON or as a
-- page. Must never change a checker.
local core = require "apisix.core"
local healthcheck = require "resty.healthcheck"
local manager = require "apisix.healthcheck_manager"
local router = require "apisix.router"
local service = require "apisix.http.service"
local upstream = require "apisix.upstream"

local concat = table.concat
local find = string.find
local format = string.format
local gsub = string.gsub
local ipairs = ipairs
local ngx = ngx
local setmetatable = setmetatable
local tostring = tostring

local DICT_NAME = "upstream-healthcheck"
-- In the order in which they are told. items() returns an array of items, or nil.
local SOURCES = {
    { kind = "routes", items = router.http_routes },
    { kind = "stream_routes", items = router.stream_routes },
    { kind = "services", items = service.services },
    { kind = "upstreams", items = upstream.upstreams },
}
local COLUMNS = {
    "Index", "Upstream", "Check type", "Host", "Status", "Success counts", "TCP Failures", "HTTP Failures",
    "TIMEOUT Failures",
}
local TITLE = "APISIX upstream check status"
local PAGE = [[
<html xmlns="http://www.w3.org/1999/xhtml">
<head><title>%s</title></head>
<body>
<h1>%s</h1>
<table border="1" cellspacing="0" cellpadding="3">
%s
</table>
</body>
</html>
]]
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local _M = {}

local function checks_of(value)
    return value.checks or value.upstream and value.upstream.checks
end

local function describe(item, checks)
    local nodes, err = healthcheck.get_target_list(manager.get_healthchecker_name(item.value), DICT_NAME)
    if err then
        core.log.error("failed to list the nodes of ", item.key, ": ", err)
    end
    return {
        name = item.key,
        nodes = nodes,
        type = checks.active and checks.active.type or checks.passive and checks.passive.type,
    }
end

-- An array of {name (the item's key), type, nodes}, these as resty.healthcheck's get_target_list tells them.
function _M.list()
    local infos = {}
    for _, source in ipairs(SOURCES) do
        for _, item in core.config_util.iterate_values(source.items() or {}) do
            local checks = checks_of(item.value)
            if checks then
                infos[#infos + 1] = describe(item, checks)
            end
        end
    end
    return infos
end

local function row(cells, tag, red)
    local parts = {}
    for i, cell in ipairs(cells) do
        parts[i] = "<" .. tag .. ">" .. gsub(tostring(cell), '[&<>"]', ENTITIES) .. "</" .. tag .. ">"
    end
    return (red and '<tr bgcolor="#FF0000">' or "<tr>") .. concat(parts) .. "</tr>"
end

local function page(infos)
    local rows = { row(COLUMNS, "th") }
    for _, info in ipairs(infos) do
        for _, node in ipairs(info.nodes or {}) do
            local counter = node.counter
            rows[#rows + 1] = row({
                #rows, info.name, info.type, node.ip .. ":" .. node.port, node.status, counter.success,
                counter.tcp_failure, counter.http_failure, counter.timeout_failure,
            }, "td", node.status ~= "healthy" and node.status ~= "mostly_healthy")
        end
    end
    return format(PAGE, TITLE, TITLE, concat(rows, "\n"))
end

-- A page for those who accept one.
local function answer(infos, body)
    local accept = ngx.var.http_accept
    if accept and find(accept, "text/html", 1, true) then
        core.response.set_header("Content-Type", "text/html")
        return 200, page(infos)
    end
    return 200, body
end

-- GET /v1/healthcheck
function _M.show_all()
    local infos = _M.list()
    return answer(infos, setmetatable(infos, core.json.array_mt))
end

local function source_of(kind)
    for _, source in ipairs(SOURCES) do
        if source.kind == kind then
            return source
        end
    end
    return nil
end

local function find_item(source, id)
    for _, item in core.config_util.iterate_values(source.items() or {}) do
        if item.value.id == id then
            return item
        end
    end
    return nil
end

-- GET /v1/healthcheck/KIND/ID
function _M.show_one()
    local segments = core.utils.split_uri(ngx.var.uri)
    local kind, id = segments[4], segments[5]
    if not id then
        return 404, { error_msg = format("missing src id for src type %s", kind) }
    end
    local source = source_of(kind)
    if not source then
        return 400, { error_msg = format("invalid src type %s", kind) }
    end
    local item = find_item(source, id)
    if not item then
        return 404, { error_msg = format("%s[%s] not found", kind, id) }
    end
    local checks = checks_of(item.value)
    if not checks then
        return 404, { error_msg = format("no checker for %s[%s]", kind, id) }
    end
    local info = describe(item, checks)
    return answer({ info }, info)
end

return _M
