-- Owns the application that runs snippets by the path of the request, as nginx does by location.
local PHASES = { "rewrite", "access", "content", "header_filter", "body_filter", "log" }

-- The body of a handler in a file, as ngx_lua loads it.
local function load(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return assert(loadstring("return function() " .. text .. "\nend", "@" .. path))()
end

local function loaded(files)
    local handlers = {}
    for phase, path in pairs(files) do
        handlers[phase] = load(path)
    end
    return handlers
end

-- files: path -> phase -> file; variables: as an application declares them.
return function(files, variables)
    local snippets = { ["/fence"] = { content = fence } } -- luacheck: globals fence
    for path, phases in pairs(files) do
        snippets[path] = loaded(phases)
    end
    local app = { variables = variables }
    for _, phase in ipairs(PHASES) do
        app[phase] = function()
            local snippet = snippets[(ngx.var.request_uri:match("^[^?]*"))]
            local handler = snippet and snippet[phase]
            if handler then
                return handler()
            end
        end
    end
    return app
end
