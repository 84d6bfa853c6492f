-- Owns the question what a plugin has changed: what a request and its response look like at one moment, and what
-- differs between two. Only of requests that are traced whole. Must never change anything itself.
local names = require "apisix.core.ctx.names"

local concat = table.concat
local find = string.find
local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local sub = string.sub
local tostring = tostring
local type = type

local LONGEST = 200 -- bytes of a value

-- Fields of the ctx that the framework keeps for itself.
local INTERNAL = {
    var = true, ngx_ctx = true, trace = true, debug_plugins = true, headers = true, plugins = true,
    global_plugins = true, curr_req_matched = true, matched_route = true, conf_type = true, conf_id = true,
    conf_version = true,
}

local _M = {}

local function text_of(value)
    if type(value) == "table" then
        local parts = {}
        for i, part in ipairs(value) do
            parts[i] = tostring(part)
        end
        value = concat(parts, ", ")
    end
    value = tostring(value)
    return #value > LONGEST and sub(value, 1, LONGEST) .. "…" or value
end

local function texts_of(values)
    local texts = {}
    for name, value in pairs(values) do
        texts[name] = text_of(value)
    end
    return texts
end

local function fields_of(ctx)
    local found = {}
    for name, value in pairs(ctx) do
        local is_private = type(name) ~= "string" or INTERNAL[name] or find(name, "^_") or find(name, "#", 1, true)
        if not is_private then
            found[name] = type(value) == "table" and "a table" or text_of(value)
        end
    end
    return found
end

local function variables()
    local found = {}
    for _, name in ipairs(names.WRITTEN_THROUGH) do
        local value = ngx.var[name]
        found[name] = value and value ~= "" and text_of(value) or nil
    end
    return found
end

-- How things stand. body: whether a piece of the body is being filtered.
function _M.take(ctx, body)
    local var = ngx.var
    return {
        request = { method = ngx.req.get_method(), uri = var.uri, args = var.args },
        ["request header"] = texts_of(ngx.req.get_headers(0, true)),
        response = { status = ngx.status ~= 0 and tostring(ngx.status) or nil },
        ["response header"] = texts_of(ngx.resp.get_headers(0, true)),
        variable = variables(),
        ctx = fields_of(ctx),
        piece = body and ngx.arg[1] or nil,
    }
end

local KINDS = { "request", "request header", "response", "response header", "variable", "ctx" }

local function compare(kind, before, after, changes)
    for name, value in pairs(after) do
        if before[name] ~= value then
            changes[#changes + 1] = { kind = kind, name = name, before = before[name], after = value }
        end
    end
    for name, value in pairs(before) do
        if after[name] == nil then
            changes[#changes + 1] = { kind = kind, name = name, before = value }
        end
    end
end

-- Append to changes what differs: {kind, name, before, after}, before or after nil where there was or is none.
function _M.compare(before, after, changes)
    for _, kind in ipairs(KINDS) do
        compare(kind, before[kind], after[kind], changes)
    end
end

return _M
