-- Owns where modules are found that package.path alone would find wrongly:
-- "apisix.plugins.NAME" is looked for on the user's extra Lua path, then in each plugin directory (as
-- DIR/apisix/plugins/NAME.lua, so that an APISIX checkout is one, or as DIR/NAME.lua), and last among ours;
-- the runtime's own modules (ngx.*, resty.core.*, server.*) are always ours: those of an OpenResty tree
-- on the user's path speak to nginx's C functions, which are not here.
local searchpath = package.searchpath
local match, gsub, sub = string.match, string.gsub, string.sub
local concat, insert = table.concat, table.insert
local loadfile, error, ipairs = loadfile, error, ipairs

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

local function load_from(file, name)
    local chunk, err = loadfile(file)
    if not chunk then
        error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. sub(err, 1, 500), 0)
    end
    return chunk
end

local RUNTIME = { "^ngx%.", "^resty%.core$", "^resty%.core%.", "^server%." }

local function of_runtime(name)
    for _, pattern in ipairs(RUNTIME) do
        if match(name, pattern) then
            return true
        end
    end
    return false
end

-- Install it. extra_path: package.path templates that win; our_path: those of our own modules;
-- directories: of plugins, in order; the last is ours.
return function(extra_path, our_path, directories)
    local plugin_path = path_of(directories)
    insert(package.loaders, 2, function(name)
        local file = of_runtime(name) and searchpath(name, our_path)
        return file and load_from(file, name)
    end)
    insert(package.loaders, 3, function(name)
        local plugin = match(name, "^apisix%.plugins%.(.+)$")
        if not plugin then
            return nil
        end
        local file, tried = searchpath(name, extra_path)
        if not file then
            local more
            file, more = searchpath(plugin, plugin_path)
            if not file then
                return tried .. more
            end
        end
        return load_from(file, name)
    end)
end
