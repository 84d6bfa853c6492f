-- Owns where modules are found that package.path alone would find wrongly:
-- "apisix.plugins.NAME" is looked for on the user's extra Lua path, then in each plugin directory (as
-- DIR/apisix/plugins/NAME.lua, so that an APISIX checkout is one, or as DIR/NAME.lua), and last among ours;
-- the runtime's own modules (ngx.*, resty.core.*, resty.events.*, server.*) are always ours: those of an
-- OpenResty tree on the user's path speak to nginx's C functions, or through a server block of it, which
-- are not here.
-- Plugins, and what is on the user's path, are loaded through server.modules, which can load them again.
local package = package
local searchpath = package.searchpath
local match, gsub = string.match, string.gsub
local concat, insert = table.concat, table.insert
local error, ipairs, sub = error, ipairs, string.sub
local compiled = require "server.compiled"
local modules = require "server.modules"

local TEMPLATES = { "/apisix/plugins/?.lua", "/apisix/plugins/?/init.lua", "/?.lua", "/?/init.lua" }

local function path_of(directories)
    local templates = {}
    for _, directory in ipairs(directories) do
        for _, template in ipairs(TEMPLATES) do
            templates[#templates + 1] = gsub(directory, "/$", "") .. template
        end
    end
    return concat(templates, ";")
end

local RUNTIME = { "^ngx%.", "^resty%.core$", "^resty%.core%.", "^server%.", "^resty%.events$", "^resty%.events%." }

local function of_runtime(name)
    for _, pattern in ipairs(RUNTIME) do
        if match(name, pattern) then
            return true
        end
    end
    return false
end

local function load(name, file)
    local chunk, err = compiled.load(file)
    if not chunk then
        error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. sub(err, 1, 500), 0)
    end
    return chunk
end

local function find_ours(our_path)
    return function(name)
        local file = of_runtime(name) and searchpath(name, our_path)
        return file and load(name, file)
    end
end

-- In the place of Lua's own.
local function find_any(name)
    local file, tried = searchpath(name, package.path)
    return file and load(name, file) or tried
end

local function find_users(extra_path)
    return function(name)
        local file, tried = searchpath(name, extra_path)
        return file and modules.load(name, file) or tried
    end
end

local function find_plugin(directories)
    local path = path_of(directories)
    return function(name)
        local plugin = match(name, "^apisix%.plugins%.(.+)$")
        if not plugin then
            return nil
        end
        local file, tried = searchpath(plugin, path)
        return file and modules.load(name, file) or tried
    end
end

-- Install it. extra_path: package.path templates that win; our_path: those of our own modules;
-- directories: of plugins, in order; the last is ours.
return function(extra_path, our_path, directories)
    _G.require = modules.require
    local loaders = package.loaders
    loaders[2] = find_any
    insert(loaders, 2, find_ours(our_path))
    insert(loaders, 3, find_users(extra_path))
    insert(loaders, 4, find_plugin(directories))
end
