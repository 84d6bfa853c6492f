-- Owns the reading of the tree of directives: each is put where it belongs in its level.
local code = require "conformance.code"
local confs = require "conformance.conf"
local echo = require "conformance.echo"
local filters = require "conformance.filters"
local options = require "conformance.options"
local proxy = require "conformance.proxy"
local scripts = require "conformance.script"

local error, ipairs, pairs = error, ipairs, pairs
local find, gsub = string.find, string.gsub

local _M = {}

-- Directives that are kept as they are; other modules of the collector look for them.
local KEPT = {
    "server_name", "listen", "internal", "default_type", "error_page", "root", "alias", "index", "expires",
    "add_header", "more_set_headers", "more_clear_headers", "allow", "deny", "auth_request", "satisfy",
    "proxy_pass", "proxy_set_header", "proxy_next_upstream", "echo_before_body",
    "echo_after_body", "lua_need_request_body", "rewrite_by_lua_no_postpone", "access_by_lua_no_postpone",
    "precontent_by_lua_no_postpone", "try_files", "empty_gif", "lua_code_cache", "proxy_ssl_conf_command",
    "recursive_error_pages", "pygw_gateway",
}

local KIND = {} -- directive -> function(conf, directive)

for _, name in ipairs(KEPT) do
    KIND[name] = function(conf, directive)
        return conf.add(name, directive)
    end
end
for name in pairs(proxy.PLAIN) do
    KIND[name] = function(conf, directive)
        return conf.add(name, directive)
    end
end

for name in pairs(echo.steps) do
    KIND[name] = function(conf, directive)
        conf.echo[#conf.echo + 1] = directive
        return conf.add("content", { name = "echo" })
    end
end

for name, step in pairs(scripts.steps) do
    KIND[name] = function(conf, directive)
        conf.script[#conf.script + 1] = step(conf, directive)
    end
end

local function input_filter(conf, directive)
    conf.script[#conf.script + 1] = filters.input(directive)
end
KIND.more_set_input_headers, KIND.more_clear_input_headers = input_filter, input_filter

function KIND.lua_code_cache(conf, directive)
    if directive.args[1] == "off" then
        error("skip: lua_code_cache off (a Lua VM for each request) is a matter of nginx's development", 0)
    end
    return conf.add("lua_code_cache", directive)
end

function KIND.gzip(_, directive)
    if directive.args[1] ~= "off" then
        error("skip: nginx's gzip filter", 0)
    end
end

local OTHERS = { -- directives of modules that are not there
    memc = "memc-nginx-module", redis2 = "redis2-nginx-module", drizzle = "drizzle-nginx-module",
    rds = "rds-json-nginx-module", srcache = "srcache-nginx-module", upstream_list = "set-misc with upstream lists",
    set_hashed_upstream = "set-misc with upstream lists",
    lua_fake_shm = "a fake module of nginx's own tests",
    lua_fake_delayed_load = "a fake module of nginx's own tests",
    proxy_cache = "nginx's proxy cache", slice = "nginx's slice module", image_filter = "nginx's image filter",
    dav = "nginx's DAV module", gunzip = "nginx's gunzip filter", charset = "nginx's charset filter",
    valid_referers = "nginx's referer module", http2 = "HTTP/2", no_error_pages = "a patch of nginx",
    include = "nginx.conf's include", stub_status = "nginx's stub_status", ssi = "nginx's SSI",
    balancer_keepalive = "a directive of newer lua-nginx-module",
}

local function unknown(name)
    for prefix, module in pairs(OTHERS) do
        if find(name, "^" .. prefix) then
            error("skip: " .. module, 0)
        end
    end
    error("skip: directive " .. name, 0)
end

local function tag_of(name)
    local tag = gsub(gsub(name, "_block$", ""), "_file$", "")
    return find(tag, "_by_lua$") and tag or nil
end

local EAGER = { init_by_lua = true, init_worker_by_lua = true, exit_worker_by_lua = true }

local function read_lua(conf, directive, tag)
    if EAGER[tag] then
        directive.handler = code.eager(directive)
    else
        directive.handler = code.handler(directive)
    end
    conf.add(tag, directive)
    if tag == "content_by_lua" then
        conf.add("content", directive)
    end
end

local read

local function read_location(conf, directive)
    local inner = confs.new("location", conf)
    local modifier, path = directive.args[1], directive.args[2]
    if not path then
        modifier, path = string.match(modifier, "^(=?~?%*?%^?~?)(.*)$")
    end
    inner.modifier, inner.path = modifier, path
    conf.locations[#conf.locations + 1] = inner
    return read(inner, directive.block)
end

local BLOCKS = { location = read_location }

function BLOCKS.upstream(_, directive)
    return proxy.declare(directive, unknown)
end

function BLOCKS.http(conf, directive)
    conf.http = confs.new("http", conf)
    return read(conf.http, directive.block)
end

function BLOCKS.server(conf, directive)
    local server = confs.new("server", conf)
    server.ifs = {}
    conf.locations[#conf.locations + 1] = server
    return read(server, directive.block)
end

function BLOCKS.types() end
BLOCKS.events = BLOCKS.types

-- Read a list of directives into conf. Raises "skip: why" where a module is missing, or what is wrong.
function read(conf, directives)
    function conf.inner_if(directive)
        local inner = confs.new("if", conf)
        inner.path = "@if:" .. #conf.ifs
        conf.ifs[#conf.ifs + 1] = inner
        read(inner, directive.block)
        return inner
    end
    for _, directive in ipairs(directives) do
        local name = directive.name
        local tag = tag_of(name)
        if KIND[name] then
            KIND[name](conf, directive)
        elseif tag then
            read_lua(conf, directive, tag)
        elseif BLOCKS[name] and directive.block then
            BLOCKS[name](conf, directive)
        elseif options.known(name) then
            conf.add(name, directive)
        else
            unknown(name)
        end
        if name == "proxy_pass" or name == "empty_gif" then
            conf.add("content", directive)
        end
    end
end

-- The tree of a whole nginx.conf as nested levels.
function _M.read(tree)
    local main = confs.new("main")
    read(main, tree)
    return main
end

return _M
