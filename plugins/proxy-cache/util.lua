-- Owns what both strategies of proxy-cache ask: values put together from variables, methods, statuses, names of files.
local core = require "apisix.core"
local ngx_re = require "ngx.re"

local byte = string.byte
local concat = table.concat
local io_open = io.open
local ipairs = ipairs
local md5 = ngx.md5
local ngx = ngx
local sub = string.sub
local tonumber = tonumber

local DOLLAR, SLASH = byte("$"), byte("/")

local _M = {}

-- The texts of `parts` in a row, "$name" being the value of that variable.
function _M.generate_complex_value(parts, ctx)
    core.log.info("proxy-cache complex value: ", core.json.delay_encode(parts))
    local values = core.tablepool.fetch("proxy_cache_complex_value", #parts, 0)
    for i, part in ipairs(parts) do
        values[i] = byte(part) == DOLLAR and (ctx.var[sub(part, 2)] or "") or part
    end
    local text = concat(values)
    core.tablepool.release("proxy_cache_complex_value", values)
    return text
end

-- Whether text is something, and not "0".
function _M.is_set(text)
    return text ~= nil and text ~= "" and text ~= "0"
end

local function holds(list, item)
    for _, each in ipairs(list) do
        if each == item then
            return true
        end
    end
    return false
end

function _M.match_method(conf, ctx)
    return holds(conf.cache_method, ctx.var.request_method)
end

function _M.match_status(conf)
    return holds(conf.cache_http_status, ngx.status)
end

function _M.file_exists(path)
    local file = io_open(path, "r")
    if file then
        file:close()
    end
    return file ~= nil
end

-- Where nginx's cache in the directory `path` keeps the response of a key; levels: as "1:2".
function _M.generate_cache_filename(path, levels, key)
    local name = md5(key)
    local stop = #name
    if byte(path, -1) ~= SLASH then
        path = path .. "/"
    end
    for _, level in ipairs((ngx_re.split(levels, ":"))) do
        local length = tonumber(level)
        path = path .. sub(name, stop - length + 1, stop) .. "/"
        stop = stop - length
    end
    return path .. name
end

return _M
