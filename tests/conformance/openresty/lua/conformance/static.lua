-- Owns files: root, alias, index, try_files, expires and what answers where a location names no content.
local lfs = require "lfs"
local code = require "conformance.code"
local values = require "conformance.values"

local find, format, sub = string.find, string.format, string.sub
local io_open, ipairs = io.open, ipairs

local _M = {}

local function absolute(path)
    return sub(path, 1, 1) == "/" and path or code.prefix .. path
end

-- The path of the file that a URI names in a location.
local function path_of(conf, uri)
    local alias = conf.own("alias")
    if alias then
        return absolute(alias.args[1]) .. sub(uri, #conf.path + 1)
    end
    local root = conf.first("root")
    return absolute(root and values.template(root.args[1])() or "html") .. uri
end
_M.path_of = path_of

local function send(path, size, modified)
    local file = io_open(path, "rb")
    if not file then
        return ngx.exit(404)
    end
    ngx.header["Last-Modified"] = ngx.http_time(modified)
    ngx.header["ETag"] = format('"%x-%x"', modified, size)
    ngx.header["Content-Length"] = size
    local body = file:read("*a")
    file:close()
    ngx.print(body)
end

local function missing(path)
    require("server.log").err(format('open() "%s" failed (2: No such file or directory)', path))
    return ngx.exit(404)
end

local function index_of(conf, uri)
    local index = conf.first("index")
    for _, name in ipairs(index and index.args or { "index.html" }) do
        if lfs.attributes(path_of(conf, uri .. name), "mode") == "file" then
            return ngx.exec(uri .. name)
        end
    end
    require("server.log").err(format('directory index of "%s" is forbidden', path_of(conf, uri)))
    return ngx.exit(403)
end

-- The content handler of a location without one.
function _M.content(conf)
    return function()
        local method, uri = ngx.req.get_method(), ngx.var.uri
        if method ~= "GET" and method ~= "HEAD" then
            return ngx.exit(405)
        end
        if sub(uri, -1) == "/" then
            return index_of(conf, uri)
        end
        local path = path_of(conf, uri)
        local found = lfs.attributes(path)
        if not found then
            return missing(path)
        elseif found.mode == "directory" then
            return ngx.redirect(uri .. "/", 301)
        end
        return send(path, found.size, found.modification)
    end
end

-- try_files: goes to the first file that is there, or to what stands last.
function _M.try_files(conf, directive)
    local targets = {}
    for i, text in ipairs(directive.args) do
        targets[i] = values.template(text)
    end
    return function()
        for i = 1, #targets - 1 do
            local uri = targets[i]()
            if lfs.attributes(path_of(conf, uri), "mode") == "file" then
                return ngx.req.set_uri(uri, false)
            end
        end
        local last = targets[#targets]()
        if find(last, "^=%d%d%d$") then
            return ngx.exit(tonumber(sub(last, 2)))
        end
        return ngx.exec(last)
    end
end

return _M
