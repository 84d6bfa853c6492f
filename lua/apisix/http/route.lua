-- Owns /routes as the routers take them: turning an item into a route of radixtree, and keeping a
-- router true to the directory, one route at a time. Must never match a request.
-- Mirrors apisix.http.route.
local core = require "apisix.core"
local event = require "apisix.core.event"
local expr = require "resty.expr.v1"
local feed = require "apisix.http.feed"
local plugin_checker = require("apisix.plugin").plugin_checker
local service = require "apisix.http.service"

local error = error
local loadstring = loadstring
local pairs = pairs
local pcall = pcall
local setmetatable = setmetatable

local _M = {}

local function load_filter(value)
    local chunk, err = loadstring("return " .. value.filter_func, "router#" .. value.id)
    if not chunk then
        return nil, err
    end
    local ok, fn = pcall(chunk)
    if not ok then
        return nil, fn
    end
    return fn
end

-- The hosts of a route: its own, or those of its service. A service that is missing does not matter here.
local function hosts_of(value)
    local hosts = value.hosts or value.host and { value.host }
    if hosts or not value.service_id then
        return hosts
    end
    local found = service.get(value.service_id)
    if not found or not found.value then
        core.log.error("failed to fetch service configuration by id: ", value.service_id)
        return nil
    end
    return found.value.hosts
end

-- The route of radixtree for an item of /routes, or nil if it is off or cannot be routed (logged).
local function to_route(item)
    local value = item.value
    if value.status == 0 then
        return nil
    end
    local filter_fun, err
    if value.filter_func then
        filter_fun, err = load_filter(value)
        if not filter_fun then
            core.log.error("failed to load filter function: ", err, " route id: ", value.id)
            return nil
        end
    end
    return {
        id = value.id, order = item.createdIndex,
        paths = value.uris or value.uri,
        hosts = hosts_of(value),
        methods = value.methods,
        priority = value.priority,
        remote_addrs = value.remote_addrs or value.remote_addr,
        vars = value.vars,
        filter_fun = filter_fun,
        metadata = item,
    }
end

-- What radixtree is told of a request; return it by forget_options.
function _M.match_options(api_ctx)
    local var = api_ctx.var
    local opts = core.tablepool.fetch("route_match_opts", 0, 8)
    opts.method = var.request_method
    opts.host = var.host
    opts.remote_addr = var.remote_addr
    opts.vars = var
    opts.matched = core.tablepool.fetch("matched_route_record", 0, 4)
    return opts
end

-- The matched record stays with the request when it has found its route.
function _M.forget_options(opts, found)
    if not found then
        core.tablepool.release("matched_route_record", opts.matched)
    end
    core.tablepool.release("route_match_opts", opts)
end

-- Let router find the request's route by its path. Returns whether it did; then api_ctx has matched_route
-- and curr_req_matched.
function _M.match_uri(router, api_ctx, opts)
    local item = router:match(api_ctx.var.uri, opts)
    if not item then
        return false
    end
    api_ctx.matched_params = nil
    api_ctx.matched_route = item
    api_ctx.curr_req_matched = opts.matched
    return true
end

local Table = {}
Table.__index = Table

local function index_by_service(self, item, present)
    local id = item.value.service_id
    if not id then
        return
    end
    local items = self.by_service[id] or {}
    self.by_service[id] = items
    items[item] = present
end

function Table:add(item)
    index_by_service(self, item, true)
    local ok, route = pcall(to_route, item)
    if ok and route then
        ok, route = pcall(function()
            self.router:add_route(route)
            self.placed[item] = route
        end)
    end
    if not ok then
        core.log.error("failed to add the route ", item.value.id, ": ", route)
    end
end

function Table:remove(item)
    index_by_service(self, item, nil)
    local route = self.placed[item]
    if route then
        self.placed[item] = nil
        self.router:delete_route(route)
    end
end

-- The routes of a service may take their hosts from it.
function Table:service_changed(id)
    for item in pairs(self.by_service[id] or {}) do
        if not (item.value.hosts or item.value.host) then
            self:remove(item)
            self:add(item)
        end
    end
end

-- Bring the router up to date with object (the result of init_worker). To be called before every match.
function Table:sync(object)
    service.sync()
    if self.changes:sync(object) then
        event.push(event.CONST.BUILD_ROUTER, object.values)
    end
end

-- To be called from the filter of /routes.
function Table:note(item)
    self.changes:note(item)
end

-- What keeps router (add_route, delete_route) in step with /routes.
function _M.new_table(router)
    local self = setmetatable({ router = router, placed = {}, by_service = {} }, Table)
    self.changes = feed(function(item)
        return self:add(item)
    end, function(item)
        return self:remove(item)
    end)
    service.on_change(function(id)
        return self:service_changed(id)
    end)
    return self
end

local function check_route(route)
    local ok, err = plugin_checker(route)
    if not ok then
        return nil, err
    end
    if route.vars then
        ok, err = expr.new(route.vars)
        if not ok then
            return nil, "failed to validate the 'vars' expression: " .. err
        end
    end
    return true
end

-- Begin to watch /routes. filter: called with each item that comes, changes or goes.
function _M.init_worker(filter)
    local object, err = core.config.new("/routes", {
        automatic = true,
        item_schema = core.schema.route,
        checker = check_route,
        filter = filter,
    })
    if not object then
        error("failed to create etcd instance for fetching /routes : " .. err)
    end
    return object
end

return _M
