-- Owns the application that serves snippets, a location each, as nginx's configuration does.

-- The body of a handler in a file, as ngx_lua loads it.
local function load(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return assert(loadstring("return function() " .. text .. "\nend", "@" .. path))()
end

-- files: path -> phase -> file; variables: as an application declares them; init_worker: a file.
return function(files, variables, init_worker)
    local locations = { { path = "/fence", content = fence } } -- luacheck: globals fence
    for path, phases in pairs(files) do
        local location = { path = path, match = "exact" }
        if phases.balancer then
            location.proxy = { set_header = { { "Host", "$http_host" } } }
        end
        for phase, file in pairs(phases) do
            location[phase] = load(file)
        end
        locations[#locations + 1] = location
    end
    return { variables = variables, locations = locations, init_worker = load(init_worker) }
end
