-- Owns where views come from: files below the template's root, locations of this server, or the text itself.
-- Source: the documentation of lua-resty-template 2.0. Must never parse what it has found.
local ngx = ngx
local get_phase = ngx.get_phase
local assert, io_open, sub = assert, io.open, string.sub

-- The phases in which variables of a request are there.
local OF_REQUESTS = {
    set = true, rewrite = true, server_rewrite = true, access = true, precontent = true, content = true,
    header_filter = true, body_filter = true, log = true, preread = true,
}

local _M = {}

-- A variable of the running request, if there is one and it says something.
function _M.variable(name)
    local value = OF_REQUESTS[get_phase()] and ngx.var[name] or nil
    return value ~= "" and value or nil
end

local function read_file(path)
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    local content
    content, err = file:read("*a")
    file:close()
    return content, err
end

local function join(root, path)
    if sub(root, -1) == "/" then
        root = sub(root, 1, -2)
    end
    return root .. "/" .. (sub(path, 1, 1) == "/" and sub(path, 2) or path)
end

local function setting(own, name)
    return own and own ~= "" and own or _M.variable(name)
end

-- The text of a view. template: its `root` and `location` come before the variables $template_root and
-- $template_location; plain: true: view is the text itself, false: it is a file, which must be there; nil: a file if
-- there is one, else the text itself.
function _M.load(template, view, plain)
    if plain == true then
        return view
    end
    local location = setting(template.location, "template_location")
    if location then
        local res = ngx.location.capture(join(location, view))
        if res.status == 200 then
            return res.body
        end
    end
    local root = setting(template.root, "template_root") or _M.variable("document_root") or ngx.config.prefix()
    local path = root ~= "" and join(root, view) or view
    if plain == false then
        return assert(read_file(path))
    end
    return read_file(path) or view
end

return _M
