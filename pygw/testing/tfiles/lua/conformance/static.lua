-- Owns files: root, alias, index, try_files, expires and what answers where a location names no content.
local current = require "server.current"
local lfs = require "lfs"
local log = require "server.log"
local redirects = require "server.http.redirects"
local code = require "conformance.code"
local values = require "conformance.values"

local find, format, match, sub = string.find, string.format, string.match, string.sub
local min = math.min
local io_open, ipairs, tonumber = io.open, ipairs, tonumber

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

-- The first and last byte that the request asks for ("bytes=0-4"), or nil: all.
local function range(size)
    local first, last = match(ngx.var.http_range or "", "^bytes=(%d+)%-(%d*)$")
    if not first or tonumber(first) >= size then
        return nil
    end
    return tonumber(first), min(tonumber(last) or size - 1, size - 1)
end

local function send(path, size, modified)
    local file = io_open(path, "rb")
    if not file then
        return ngx.exit(404)
    end
    ngx.header["Last-Modified"] = ngx.http_time(modified)
    ngx.header["ETag"] = format('"%x-%x"', modified, size)
    local first, last = range(size)
    if first then
        ngx.status = 206
        ngx.header["Content-Range"] = format("bytes %d-%d/%d", first, last, size)
        file:seek("set", first)
        size = last - first + 1
    end
    ngx.header["Content-Length"] = size
    local body = file:read(size)
    file:close()
    ngx.print(body or "")
end

local function missing(path)
    log.err(format('open() "%s" failed (2: No such file or directory)', path))
    return ngx.exit(404)
end

local function index_of(conf, uri)
    local index = conf.first("index")
    for _, name in ipairs(index and index.args or { "index.html" }) do
        if lfs.attributes(path_of(conf, uri .. name), "mode") == "file" then
            return ngx.exec(uri .. name)
        end
    end
    log.err(format('directory index of "%s" is forbidden', path_of(conf, uri)))
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
            ngx.header["Location"] = redirects.absolute(current.request, uri .. "/")
            return ngx.exit(301)
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
