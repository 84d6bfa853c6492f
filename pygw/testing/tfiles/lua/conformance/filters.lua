-- Owns what nginx modules do to headers, before and after header_filter_by_lua: more_set_headers,
-- more_clear_headers (before), add_header, expires (after); and more_*_input_headers.
local values = require "conformance.values"

local template = values.template
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local ipairs, tonumber = ipairs, tonumber

local _M = {}

-- The fields of a headers-more directive; options (-s, -t, -r, -a) come first. statuses: a set, or nil.
local function arguments(args)
    local fields, statuses = {}, nil
    local i = 1
    while args[i] do
        local text = args[i]
        if text == "-s" or text == "-t" then
            statuses = text == "-s" and {} or statuses
            for status in args[i + 1]:gmatch("%d+") do
                if statuses then
                    statuses[tonumber(status)] = true
                end
            end
            i = i + 1
        elseif not find(text, "^%-[ra]$") then
            fields[#fields + 1] = text
        end
        i = i + 1
    end
    return fields, statuses
end

local function clear(name)
    if sub(name, -1) ~= "*" then
        ngx.header[name] = nil
        return
    end
    local prefix = sub(name, 1, -2):lower()
    for key in pairs(ngx.resp.get_headers(0, true)) do
        if sub(key:lower(), 1, #prefix) == prefix then
            ngx.header[key] = nil
        end
    end
end

local function setter(fields, statuses)
    local pairs_of = {}
    for i, field in ipairs(fields) do
        local name, value = match(field, "^%s*([^:%s]+)%s*:?%s*(.-)%s*$")
        pairs_of[i] = { name, template(value) }
    end
    return function()
        if statuses and not statuses[ngx.status] then
            return
        end
        for _, pair in ipairs(pairs_of) do
            local value = pair[2]()
            ngx.header[pair[1]] = value ~= "" and value or nil
        end
    end
end

local function clearer(fields, statuses)
    return function()
        if statuses and not statuses[ngx.status] then
            return
        end
        for _, field in ipairs(fields) do
            for name in field:gmatch("%S+") do
                clear((gsub(name, ":$", "")))
            end
        end
    end
end

local MORE = { more_set_headers = setter, more_clear_headers = clearer }

-- A list of functions for more_* directives, outer ones first.
function _M.more(directives)
    local steps = {}
    for _, directive in ipairs(directives) do
        steps[#steps + 1] = MORE[directive.name](arguments(directive.args))
    end
    return steps
end

local ADDED = {
    [200] = true, [201] = true, [204] = true, [206] = true, [301] = true, [302] = true, [303] = true,
    [304] = true, [307] = true, [308] = true,
}

local function append(name, value)
    local present = ngx.header[name]
    if present == nil or name:lower() == "last-modified" then
        ngx.header[name] = value
    elseif type(present) == "table" then
        present[#present + 1] = value
        ngx.header[name] = present
    else
        ngx.header[name] = { present, value }
    end
end

-- A list of functions for add_header directives.
function _M.added(directives)
    local steps = {}
    for _, directive in ipairs(directives) do
        local name, value, always = directive.args[1], template(directive.args[2]), directive.args[3]
        steps[#steps + 1] = function()
            local text = value()
            if text ~= "" and (always == "always" or ADDED[ngx.status]) then
                append(name, text)
            end
        end
    end
    return steps
end

-- The step of an `expires` directive.
function _M.expires(directive)
    local text = directive.args[1]
    return function()
        if text == "off" or not ADDED[ngx.status] then
            return
        elseif text == "epoch" then
            ngx.header["Expires"], ngx.header["Cache-Control"] = "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"
        elseif text == "max" then
            ngx.header["Expires"] = "Thu, 31 Dec 2037 23:55:55 GMT"
            ngx.header["Cache-Control"] = "max-age=315360000"
        else
            local sign, time = match(text, "^(%-?)(.+)$")
            local seconds = values.time(time) * (sign == "-" and -1 or 1)
            ngx.header["Expires"] = ngx.http_time(ngx.time() + seconds)
            ngx.header["Cache-Control"] = seconds < 0 and "no-cache" or "max-age=" .. seconds
        end
    end
end

-- The rewrite step of more_set_input_headers or more_clear_input_headers.
function _M.input(directive)
    local steps = {}
    for i, field in ipairs((arguments(directive.args))) do
        local name, value = match(field, "^%s*([^:%s]+)%s*:?%s*(.-)%s*$")
        steps[i] = { name, template(value) }
    end
    local clears = directive.name == "more_clear_input_headers"
    return function()
        for _, step in ipairs(steps) do
            local value = step[2]()
            if clears or value == "" then
                ngx.req.clear_header(step[1])
            else
                ngx.req.set_header(step[1], value)
            end
        end
    end
end

return _M
