-- Owns the router: finds the route of a request by its path and by the route's other conditions.
-- The API of lua-resty-radixtree, as which plugins require it, too, in Lua alone, with two differences: a route comes
-- and goes by itself, at the cost of its own path; and a match costs the length of the path, whatever the number of
-- routes.
--
-- The order in which candidates are tried: exact paths; then by length of the literal prefix, longest
-- first; then by priority; then by length of the whole path; then by route.order (a number, such as a
-- revision), then oldest first.
-- A match may be suspended: vars and filter_fun may wait.
local conditions = require "radixtree.conditions"
local order = require "radixtree.order"
local path_reader = require "radixtree.path"
local segments = require "radixtree.segments"
local tree = require "radixtree.tree"
local clear_tab = require "table.clear"

local error = error
local ipairs = ipairs
local setmetatable = setmetatable
local type = type
local lower = string.lower
local sub = string.sub
local hold = conditions.hold
local deepest = tree.deepest
local ngx = ngx

local _M = { _VERSION = "2.9" }
local mt = { __index = _M }
local NO_OPTS = {}

-- Where the entries of a path live: holder[field] is the list; prune(holder) tidies up after a removal.
local function place(self, parsed, make)
    local kind = parsed.kind
    if kind == "exact" then
        return self.exact, parsed.prefix
    elseif kind == "segments" then
        if not self.segments then
            if not make then
                return nil
            end
            self.segments = segments.new()
        end
        local node, field = (make and segments.place or segments.find)(self.segments, parsed)
        return node, field, segments.prune
    end
    local node = (make and tree.insert or tree.find)(self.prefixes, parsed.prefix)
    return node, "value", tree.prune
end

local function insert(self, path, route, conds)
    if type(path) ~= "string" then
        error("invalid argument path", 3)
    end
    self.seq = self.seq + 1
    local entry = path_reader.parse(path, self.literal_colons)
    entry.path, entry.seq, entry.route, entry.conditions = path, self.seq, route, conds
    local holder, field = place(self, entry, true)
    holder[field] = order.with(holder[field], entry)
end

local function paths_of(route)
    local paths = route.paths
    return type(paths) == "table" and paths or { paths }
end

-- Add one route: paths (string or list), and optionally methods, hosts, remote_addrs, vars, filter_fun,
-- priority, id, order, metadata, handler (one of the last two is needed). Raises on an invalid one.
function _M.add_route(self, route)
    if route == nil then
        return "illegal route"
    end
    if route.metadata == nil and route.handler == nil then
        error("missing argument metadata or handler", 2)
    end
    if route.paths == nil then
        error("invalid argument path", 2)
    end
    local conds = conditions.compile(route)
    for _, path in ipairs(paths_of(route)) do
        insert(self, path, route, conds)
    end
    self.size = self.size + 1
    return nil
end

-- Remove one route, known by its table or by its id, from the paths that it names.
function _M.delete_route(self, route)
    if route == nil then
        return "illegal route"
    end
    local removed = false
    for _, path in ipairs(paths_of(route)) do
        local holder, field, prune = place(self, path_reader.parse(path, self.literal_colons), false)
        if holder then
            local list, found = order.without(holder[field], route)
            holder[field] = list
            removed = removed or found
            if not list and prune then
                prune(holder)
            end
        end
    end
    if removed then
        self.size = self.size - 1
    end
    return nil
end

-- Put route in the place of previous.
function _M.update_route(self, previous, route)
    if previous == nil or route == nil then
        return "illegal argument."
    end
    _M.delete_route(self, previous)
    return _M.add_route(self, route)
end

-- A router of routes (see add_route). opts.no_param_match: ":" in a path has no meaning.
-- Returns nil, "missing argument route" without routes.
function _M.new(routes, opts)
    if not routes then
        return nil, "missing argument route"
    end
    local self = setmetatable({
        literal_colons = opts ~= nil and opts.no_param_match or false,
        exact = {}, prefixes = tree.new(), segments = nil, seq = 0, size = 0,
    }, mt)
    for i = 1, #routes do
        _M.add_route(self, routes[i])
    end
    return self
end

-- There is nothing to free; the original has C memory.
function _M.free()
end

local function match_regex(entry, path, matched)
    local m = ngx.re.match(path, entry.regex, "jo")
    if not m or m[0] ~= path then
        return false
    end
    for i = 1, matched and #entry.names or 0 do
        if m[i] then
            matched[entry.names[i]] = m[i]
        end
    end
    return true
end

local function tell(entry, path, opts, host)
    local matched = opts.matched
    if entry.segments then
        segments.capture(entry, path, matched)
    elseif entry.capture then
        matched[entry.capture] = sub(path, #entry.prefix + 1)
    end
    matched._path = entry.path
    matched._method = opts.method
    matched._host = host
end

-- Returns entry if its conditions hold, and tells opts.matched what matched.
local function try(entry, path, opts, ...)
    local conds = entry.conditions
    local ok, host = true, nil
    if conds then
        ok, host = hold(conds, opts, ...)
    end
    if ok and entry.regex then
        ok = match_regex(entry, path, opts.matched)
    end
    if not ok then
        return nil
    end
    if opts.matched then
        tell(entry, path, opts, host)
    end
    return entry
end

-- The first entry of list whose conditions hold. Mostly there is one, and a loop that runs once would keep
-- the JIT from compiling whoever calls this.
local function choose(list, path, opts, ...)
    local entry = try(list[1], path, opts, ...)
    if entry or not list[2] then
        return entry
    end
    for i = 2, #list do
        entry = try(list[i], path, opts, ...)
        if entry then
            return entry
        end
    end
    return nil
end

-- With parameters about, candidates of several kinds compete: gather, order, try.
local function match_mixed(self, path, opts, ...)
    local found = self.spare or { n = 0 }
    self.spare = nil -- ours until the end: another match may begin while this one waits
    segments.collect(self.segments, path, found)
    local node = deepest(self.prefixes, path)
    while node do
        local list = node.value
        for i = 1, list and #list or 0 do
            found.n = found.n + 1
            found[found.n] = list[i]
        end
        node = node.parent
    end
    order.sort(found)
    local entry = found[1] and choose(found, path, opts, ...)
    clear_tab(found)
    found.n = 0
    self.spare = found
    return entry
end

local function match_route(self, path, opts, ...)
    if opts.host then
        opts.host = lower(opts.host)
    end
    if opts.matched then
        clear_tab(opts.matched)
    end
    local list = self.exact[path]
    local entry = list and choose(list, path, opts, ...)
    if entry then
        return entry
    end
    if self.segments then
        return match_mixed(self, path, opts, ...)
    end
    local node = deepest(self.prefixes, path)
    while node do
        list = node.value
        entry = list and choose(list, path, opts, ...)
        if entry then
            return entry
        end
        node = node.parent
    end
    return nil
end

-- Returns the metadata of the route for path, or nil. opts: method, host, remote_addr, vars (default:
-- ngx.var) and matched: a table that is cleared and told what matched: names captured from the path, and
-- _path, _method, _host.
function _M.match(self, path, opts)
    local entry = match_route(self, path, opts or NO_OPTS)
    return entry and entry.route.metadata
end

-- Call the handler of the route for path with the further arguments, which its filter_fun gets too, behind
-- (vars, opts). Returns true, nil when no route matches, or nil, "missing handler".
function _M.dispatch(self, path, opts, ...)
    if type(path) ~= "string" then
        error("invalid argument path", 2)
    end
    local entry = match_route(self, path, opts or NO_OPTS, ...)
    if not entry then
        return nil
    end
    local handler = entry.route.handler
    if type(handler) ~= "function" then
        return nil, "missing handler"
    end
    handler(...)
    return true
end

return _M
