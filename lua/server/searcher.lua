-- Owns where plugin files are found: "apisix.plugins.NAME" is looked for on the user's extra Lua path,
-- then in each plugin directory (as DIR/apisix/plugins/NAME.lua, so that an APISIX checkout is one, or
-- as DIR/NAME.lua), and last among ours.
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

-- Install it. extra_path: package.path templates that win; directories: of plugins, in order; the
-- last is ours.
return function(extra_path, directories)
    local plugin_path = path_of(directories)
    insert(package.loaders, 2, function(name)
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
        local chunk, err = loadfile(file)
        if not chunk then
            error("error loading module '" .. name .. "' from file '" .. file .. "':\n\t" .. sub(err, 1, 500), 0)
        end
        return chunk
    end)
end
