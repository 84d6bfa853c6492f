-- Owns an example: a plugin that shows every part of one, for those who write their own. Must never hold a secret, as
-- it logs its configuration. Configuration and messages are those of APISIX 3.18's plugin of this name.
--
-- Copy this file to a directory of pygw.plugin_dirs, give it your name, keep the parts that you need, and say here what
-- your plugin owns and what it must never do. `pygw check FILE` says whether it can run; docs/lua-plugins.md tells the
-- rest.

-- The file is run once in every worker, when the plugin is loaded. What it requires is cached then; globals that are
-- used while requests run are faster as locals.
local core = require "apisix.core" -- requests, responses, JSON, logs, caches: nearly all that a plugin needs
local plugin = require "apisix.plugin" -- attributes and metadata of plugins
local upstream = require "apisix.upstream"

local ngx = ngx

-- The file's name without ".lua", and what users write in `plugins`.
local NAME = "example-plugin"

-- JSON Schema of the configuration: what stands under the plugin's name on a route, a service, a consumer or a global
-- rule. Defaults are filled in before a phase sees it. `encrypt_fields = { "s" }` would have the Admin API keep s
-- encrypted. `_meta` is every plugin's: it must not be defined here.
local schema = {
    type = "object",
    properties = {
        i = { type = "number", minimum = 0 },
        s = { type = "string" },
        t = { type = "array", minItems = 1 },
        ip = { type = "string" },
        port = { type = "integer" },
    },
    required = { "i" },
}

-- Of the metadata, which are the same for all routes: /plugin_metadata/example-plugin. Leave it out if there are none.
local metadata_schema = {
    type = "object",
    properties = {
        ikey = { type = "number", minimum = 0 },
        skey = { type = "string" },
    },
    required = { "ikey", "skey" },
}

-- The plugin: what this file returns. version, priority, name and schema must be there.
--
-- Of two plugins the one of higher priority runs first, in every phase. 1 to 99 are free for your own, which then run
-- after nearly all that pygw ships; give no two plugins the same.
--
-- Further fields, which this plugin has no use for:
--   type = "auth"                  it finds out whose request this is, in rewrite (see plugins/key-auth.lua)
--   consumer_schema = {…}          of what stands under its name on a consumer
--   run_policy = "prefer_route"    as a global rule it gives way to the same plugin on the route
local _M = {
    version = 0.1,
    priority = 0,
    name = NAME,
    schema = schema,
    metadata_schema = metadata_schema,
}

-- Called for every configuration before it is applied. Returns true, or false and why; what you say is told to who
-- wrote it. Beyond the schema, check here what would fail while requests run: a regular expression, say.
-- schema_type: TYPE_METADATA, TYPE_CONSUMER, or nil for a configuration.
function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    return core.schema.check(schema, conf)
end

-- When the plugin is loaded, once in each worker: the place to start timers and connections to others.
-- Attributes are what stands in config.yaml below plugin_attr.example-plugin.
function _M.init()
    local attributes = plugin.plugin_attr(NAME)
    if attributes then
        core.log.info(NAME, " get plugin attr val: ", attributes.val)
    end
end

-- When it is unloaded, or newer code takes its place: end here what init() began.
function _M.destroy()
    core.log.info(NAME, " is unloaded")
end

-- The phases. All of them get the same two arguments:
--   conf   the configuration. It is shared by all requests: never write into it
--   ctx    the request's table, which dies with it: keep there what a later phase is to know, under a name of your
--          own (ctx.example_plugin_found), and read variables in ctx.var: ctx.var.remote_addr, ctx.var.arg_name
--
-- rewrite, access and before_proxy may answer: `return 403, { message = "no" }` ends the request, and the plugins that
-- follow do not run; a table is sent as JSON. To return nothing lets the request go on.
--
-- Time is short in a phase: make tables and patterns where the file is loaded, and compile what depends on conf once
-- (core.lrucache.plugin_ctx). To wait is fine, in every phase: a socket, ngx.sleep, a lock.

-- First: authenticate, change what the request says. The consumer is not known before the rewrite of all plugins of
-- type "auth" has run.
function _M.rewrite(conf, ctx)
    core.log.warn("plugin rewrite phase, conf: ", core.json.encode(conf))
    -- where the configuration came from: "route", "service", "route&consumer", "global_rule", …
    core.log.warn("conf_type: ", ctx.conf_type)
    core.log.warn("conf_id: ", ctx.conf_id)
    core.log.warn("conf_version: ", ctx.conf_version)

    local metadata = plugin.plugin_metadata(NAME) -- nil when there are none
    if metadata then
        core.log.warn("metadata: ", core.json.encode(metadata.value))
    end
end

-- Send the request to another server than the route's.
local function set_upstream(conf, ctx)
    local picked = {
        type = "roundrobin",
        nodes = { { host = conf.ip, port = conf.port, weight = 1 } },
    }
    local ok, err = upstream.check_schema(picked)
    if not ok then
        return 500, err
    end
    -- what the load balancer keeps is kept by this key and this version
    upstream.set(ctx, picked.type .. "#route_" .. ctx.matched_route.value.id, ctx.conf_version, picked)
end

-- Then: let pass or refuse, choose the upstream.
function _M.access(conf, ctx)
    core.log.warn("plugin access phase, conf: ", core.json.encode(conf))
    if conf.ip then
        return set_upstream(conf, ctx)
    end
end

-- Last before the upstream is asked; it has been chosen, and its host is known.
function _M.before_proxy(conf, ctx)
    core.log.warn("plugin before_proxy phase, conf: ", core.json.encode(conf))
end

-- The head of a response is there, the upstream's or one made here: change ngx.status and ngx.header. Who is going to
-- change the body calls core.response.clear_header_as_body_modified().
function _M.header_filter(conf, ctx)
    core.log.warn("plugin header_filter phase, conf: ", core.json.encode(conf))
end

-- Once for every chunk of the body: ngx.arg[1] is the chunk, and may be changed; ngx.arg[2] is true at the last one.
-- core.response.hold_body_chunk(ctx) collects the chunks for who needs the body whole.
function _M.body_filter(conf, ctx)
    core.log.warn("plugin body_filter phase, eof: ", ngx.arg[2], ", conf: ", core.json.encode(conf))
end

-- The same after the body_filter of all plugins: it sees what they made of the chunk.
function _M.delayed_body_filter(conf, ctx)
    core.log.warn("plugin delayed_body_filter phase, eof: ", ngx.arg[2], ", conf: ", core.json.encode(conf))
end

-- The response is sent: count, tell others. Nobody waits for this any more.
function _M.log(conf, ctx)
    core.log.warn("plugin log phase, conf: ", core.json.encode(conf))
end

local function hello()
    local args = ngx.req.get_uri_args()
    if args.json then
        return 200, { msg = "world" }
    end
    return 200, "world\n"
end

-- APIs of the plugin's own, for operators: APISIX's control API serves them. api(), which returns the same but for
-- `uri` in place of `uris`, is for clients: a route with the plugin public-api opens it to them.
function _M.control_api()
    return {
        { methods = { "GET" }, uris = { "/v1/plugin/example-plugin/hello" }, handler = hello },
    }
end

return _M
