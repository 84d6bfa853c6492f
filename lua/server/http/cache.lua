-- Owns the caching of responses for a request that asks for it (nginx's proxy_cache): whether an answer is there, what
-- is kept of a response that passes, what $upstream_cache_status says. Mirrors ngx_http_file_cache and
-- ngx_http_upstream_cache. The rules stand in cache_rules, the files in cache_file.
local clock = require "server.clock"
local files = require "server.http.cache_file"
local log = require "server.log"
local output = require "server.http.output"
local proxy_response = require "server.http.proxy_response"
local requests = require "server.http.request"
local rules = require "server.http.cache_rules"
local sysinfo = require "server.sysinfo"
local template = require "server.http.template"
local vars = require "server.vars"

local now = clock.now
local match = string.match
local ipairs, setmetatable = ipairs, setmetatable

-- A request's dealings with the cache.
local Cache = {}
Cache.__index = Cache

local _M = {}

-- cache: of an application's proxy: {zone, key, bypass, no_cache (values with $variables), methods}.
local function compile(cache)
    local methods = {}
    for _, method in ipairs(cache.methods or { "GET", "HEAD" }) do
        methods[method] = true
    end
    return {
        zone = template.compile(cache.zone), key = template.compile(cache.key),
        bypass = cache.bypass and template.compile(cache.bypass) or function() end,
        no_cache = cache.no_cache and template.compile(cache.no_cache) or function() end, methods = methods,
    }
end

local function plan_of(location)
    local plan = location.cache_plan
    if not plan then
        plan = compile(location.proxy.cache)
        location.cache_plan = plan
    end
    return plan
end

-- Have requests ask for the cache that set the variable of cache.zone, so that no other one needs to look for it.
-- Another variable, cache.zone_info, says then where the zone's files lie: "path,levels".
function _M.watch(cache)
    local name = match(cache.zone, "^%$([%w_]+)$")
    local info = cache.zone_info and match(cache.zone_info, "^%$([%w_]+)$")
    vars.add({ set = { [name] = function(r, value)
        vars.keep(r, name, value)
        requests.extras_of(r).cached = true
        local zone = info and r.settings.proxy_cache_path[value]
        if zone then
            vars.keep(r, info, zone.path .. "," .. zone.levels)
        end
    end } })
end

-- The file that answers r, fresh or not: the one for the key or, where that varies, the one for r's variant; and the
-- first one's meta.
local function find(zone, key, r)
    local file = files.open(zone, key)
    local meta = file and file.meta
    if not meta or not meta.vary then
        return file, meta
    end
    local variant = rules.variant(meta.vary, r.headers)
    if variant == meta.variant then
        return file, meta
    end
    file:close()
    file = files.open(zone, key .. "\0" .. variant)
    if file and file.meta.family ~= meta.family then -- of a response that is gone
        file:close()
        file = nil
    end
    return file, meta
end

local function pass_piece(pointer, n, last, r)
    return output.forward(r, pointer, n, last)
end

-- Answer r with a file.
local function answer(r, file)
    local meta, fields = file.meta, r.received
    for i = 1, #meta.fields do
        fields[i] = meta.fields[i]
    end
    fields.n = #meta.fields
    r.upstream_headers = fields
    r.extras.held = file
    proxy_response.take_head(r, meta.status)
    output.send_headers(r)
    local whole = r.no_body or r.ended or file:each_piece(pass_piece, r)
    file:close()
    if whole then
        return output.finish(r)
    end
    r.keepalive, r.truncated = false, not r.aborted
end

-- The zone that r asks for, or nil, and a status where it asks for one that there is not.
local function zone_of(r, plan)
    local name = plan.zone(r)
    if not name or name == "" or name == "off" or not plan.methods[r.method] then
        return nil
    end
    local zone = r.settings.proxy_cache_path[name]
    if not zone then
        log.err('cache "', name, '" not found')
        return nil, 500
    end
    return zone
end

-- Answer r from the cache. Returns true when that is done, nil when its upstream is to be asked, or a status.
function _M.serve(r)
    local extras = r.extras
    local plan = r.location.proxy and r.location.proxy.cache and plan_of(r.location)
    if not plan or r.parent then
        return nil
    end
    local zone, code = zone_of(r, plan)
    if not zone then
        return code
    end
    local cache = setmetatable({
        r = r, zone = zone, key = plan.key(r) or "", plan = plan, valid = nil, stale = nil, main = nil,
    }, Cache)
    extras.cache, extras.method = cache, r.method == "HEAD" and "GET" or nil
    if rules.is_set(plan.bypass(r)) then
        extras.cache_status = "BYPASS"
        return nil
    end
    local file, main = find(zone, cache.key, r)
    cache.main = main
    if file and file.meta.valid > now() then
        extras.cache_status = "HIT"
        file:touch()
        answer(r, file)
        return true
    end
    extras.cache_status = file and "EXPIRED" or "MISS"
    if file and file.meta.stale_error > 0 and file.meta.valid + file.meta.stale_error > now() then
        cache.stale = cache.key .. (main == file.meta and "" or "\0" .. rules.variant(main.vary, r.headers))
    end
    if file then
        file:close()
    end
end

local BROKEN = { [500] = true, [502] = true, [503] = true, [504] = true }

-- Is there an old response to give instead of one with this status?
function Cache:covers(code)
    return self.stale ~= nil and BROKEN[code] == true
end

-- Give the old response in the stead of an error. Returns whether there is one.
function Cache:rescue(code)
    local file = self:covers(code) and files.open(self.zone, self.stale)
    if not file then
        return false
    end
    self.r.extras.cache_status = "STALE"
    answer(self.r, file)
    return true
end

-- The head of an upstream's response is here: is it one to keep?
function Cache:consider()
    local r = self.r
    self.valid, self.stale_error = rules.freshness(r.upstream_headers, now(), r.settings.proxy_cache_valid)
    if not self.valid then
        r.extras.cache = nil -- conditions of the client are the upstream's matter then
    end
end

-- The fields of the response as a plain array, but for those of the hop.
local function fields_of(headers, nominated)
    local fields, n = {}, 0
    for i = 1, headers.n, 3 do
        if not (nominated and nominated[headers[i]]) then
            fields[n + 1], fields[n + 2], fields[n + 3] = headers[i], headers[i + 1], headers[i + 2]
            n = n + 3
        end
    end
    return fields
end

-- The body of the response follows: begin to keep it, unless it must not be. code: its status; nominated: a set of
-- names that are of the hop, or nil. Returns a writer, or nil.
function Cache:begin(code, nominated)
    local r, main = self.r, self.main
    if not self.valid or rules.is_set(self.plan.no_cache(r)) then
        return nil
    end
    local vary = rules.vary(r.upstream_headers)
    local variant = vary and rules.variant(vary, r.headers)
    local key, family = self.key, main and main.family or sysinfo.random_hex(8)
    if variant and main and main.vary and main.variant ~= variant
        and rules.variant(main.vary, r.headers) == variant then -- the first one stays beside it
        key = key .. "\0" .. variant
    elseif not vary then
        family = sysinfo.random_hex(8) -- variants of old are none any more
    end
    r.extras.held = files.create(self.zone, {
        key = key, family = family, vary = vary, variant = variant, status = code, valid = self.valid,
        stale_error = self.stale_error, fields = fields_of(r.upstream_headers, nominated),
    })
    return r.extras.held
end

-- What comes of a body, on its way, is kept too: stands for it (see body.lua).
local Tee = {}

local TEE = {
    __index = function(self, key)
        return Tee[key] or self.body[key]
    end,
}

function Tee:next(seconds)
    local p, n = self.body:next(seconds)
    if p then
        self.pointer = p
    end
    return p, n
end

function Tee:advance(n)
    self.writer:put(self.pointer, n)
    return self.body:advance(n)
end

-- A body that writes what is taken from it.
function _M.tee(body, writer)
    return setmetatable({ body = body, writer = writer, pointer = nil }, TEE)
end

return _M
