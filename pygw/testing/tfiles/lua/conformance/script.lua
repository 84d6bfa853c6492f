-- Owns the rewrite module's directives (set, if, rewrite, return, break, set_by_lua…): a list of steps that
-- run one after the other, as one phase handler does.
local code = require "conformance.code"
local current = require "server.current"
local enter = require "conformance.enter"
local lfs = require "lfs"
local log = require "server.log"
local values = require "conformance.values"
local vars = require "server.vars"

local template = values.template
local find, match, sub = string.find, string.match, string.sub
local error, ipairs, tonumber = error, ipairs, tonumber
local setmetatable, tostring, type, unpack, xpcall = setmetatable, tostring, type, unpack, xpcall
local traceback = debug.traceback
local remove = table.remove

local _M = {}

-- Names that `set` directives give; the application declares them.
_M.declared = {}

local function declare(name)
    if not find(name, "^http_") and not find(name, "^arg_") then
        _M.declared[name:lower()] = ""
    end
end

local function assign(name, value)
    local ok, err = vars.set(current.request, name, value)
    if not ok then
        error(err)
    end
end

local steps = {} -- directive -> function(conf, directive)

local function variable_name(text)
    local name = match(text, "^%$([%w_]+)$")
    if not name then
        error('invalid variable name "' .. text .. '"', 0)
    end
    return name
end

function steps.set(_, directive)
    local name, value = variable_name(directive.args[1]), template(directive.args[2])
    declare(name)
    return function()
        assign(name, value())
    end
end

function steps.set_unescape_uri(_, directive)
    local name = variable_name(directive.args[1])
    local value = template(directive.args[2] or directive.args[1])
    declare(name)
    return function()
        assign(name, ngx.unescape_uri(value()))
    end
end

function steps.set_quote_sql_str(_, directive)
    local name = variable_name(directive.args[1])
    local value = template(directive.args[2] or directive.args[1])
    declare(name)
    return function()
        assign(name, ngx.quote_sql_str(value()))
    end
end

local function with_stack(err)
    return (type(err) == "string" and err or "unknown reason") .. "\n" .. traceback("", 2):gsub("^\n", "")
end

-- Run fn in the phase `set`, where ngx.arg holds the directive's arguments. Nothing can wait there.
local function in_set_phase(fn, arguments)
    local r = current.request
    local phase, arg = r.phase, ngx.arg
    local given = {}
    for i, each in ipairs(arguments) do
        given[i] = each()
    end
    r.phase, ngx.arg = "set", given
    local ok, value = xpcall(fn, with_stack)
    r.phase, ngx.arg = phase, arg
    if not ok then
        log.err("failed to run set_by_lua*: ", value)
        return ngx.exit(500)
    end
    return value
end

local function set_by_lua(_, directive)
    local name = variable_name(directive.args[1])
    declare(name)
    local fn = code.handler(directive, 2)
    local arguments = {}
    for i = 3, #directive.args do
        arguments[#arguments + 1] = template(directive.args[i])
    end
    return function()
        local value = in_set_phase(fn, arguments)
        assign(name, value == nil and "" or tostring(value))
    end
end
steps.set_by_lua, steps.set_by_lua_block, steps.set_by_lua_file = set_by_lua, set_by_lua, set_by_lua

steps["break"] = function()
    return function()
        return "break"
    end
end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

steps["return"] = function(_, directive)
    local status, text = tonumber(directive.args[1]), directive.args[2]
    if not status then
        status, text = 302, directive.args[1]
    end
    local body = text and template(text)
    return function()
        if not body then
            return ngx.exit(status)
        elseif REDIRECTS[status] then
            return ngx.redirect(body(), status)
        end
        local page = body()
        ngx.status = status
        ngx.header["Content-Length"] = #page
        ngx.print(page)
        return ngx.exit(ngx.HTTP_OK)
    end
end

local FILE_TESTS = {
    e = function(mode) return mode ~= nil end,
    x = function(mode) return mode ~= nil end,
    f = function(mode) return mode == "file" end,
    d = function(mode) return mode == "directory" end,
}

local function regex_test(left, pattern, insensitive, negative)
    return function()
        local found = ngx.re.match(left(), pattern, insensitive and "io" or "o")
        if found then
            current.request.captures = found
        end
        return (found ~= nil) ~= negative
    end
end

-- The condition between the brackets of an `if`.
local function condition(args)
    args = { unpack(args) }
    args[1] = sub(args[1], 2)
    args[#args] = sub(args[#args], 1, -2)
    if args[1] == "" then
        remove(args, 1)
    end
    if args[#args] == "" then
        args[#args] = nil
    end
    local first, operator, right = args[1], args[2], args[3]
    local negative, kind = match(first, "^(!?)%-([fdex])$")
    if kind then
        local path, test = template(operator), FILE_TESTS[kind]
        return function() return test(lfs.attributes(path(), "mode")) ~= (negative == "!") end
    end
    local left = template(first)
    if not operator then
        return function()
            local value = left()
            return value ~= "" and value ~= "0"
        end
    elseif operator == "=" or operator == "!=" then
        local other = template(right or "")
        return function() return (left() == other()) == (operator == "=") end
    elseif find(operator, "^!?~%*?$") then
        return regex_test(left, right, sub(operator, -1) == "*", sub(operator, 1, 1) == "!")
    end
    error('unexpected "' .. operator .. '" in condition', 0)
end

steps["if"] = function(conf, directive)
    local holds, inner = condition(directive.args), conf.inner_if(directive)
    return function()
        if holds() then
            enter.enter(inner)
            return inner.script:run()
        end
    end
end

local moved = false -- whether a `rewrite` of the script that runs has changed the URI; scripts never wait

local function join_args(added, dropped)
    local old = ngx.var.args
    if dropped or not old or old == "" then
        return added
    end
    return added and added ~= "" and added .. "&" .. old or old
end

function steps.rewrite(_, directive)
    local regex, replacement, flag = unpack(directive.args)
    local absolute = find(replacement, "^https?://") or find(replacement, "^%$scheme")
    local dropped = sub(replacement, -1) == "?"
    local path, query = match(dropped and sub(replacement, 1, -2) or replacement, "^([^?]*)%??(.*)$")
    local new_path, new_query = template(path), template(query)
    return function()
        local found = ngx.re.match(ngx.var.uri, regex, "o")
        if not found then
            return nil
        end
        current.request.captures = found
        local args = join_args(new_query(), dropped)
        local uri = new_path()
        if absolute or flag == "redirect" or flag == "permanent" then
            local target = args and args ~= "" and uri .. "?" .. args or uri
            return ngx.redirect(target, flag == "permanent" and 301 or 302)
        end
        ngx.req.set_uri_args(args or "")
        ngx.req.set_uri(uri, false)
        moved = true
        return (flag == "break" or flag == "last") and flag or nil
    end
end

_M.steps = steps

local Script = {}
Script.__index = Script

-- Run the steps until one says that the phase is over. Returns "break" or "last" then.
function Script:run()
    for _, step in ipairs(self) do
        local verdict = step()
        if verdict then
            return verdict
        end
    end
end

-- Run a location's script: a URI that it changed is searched for anew, unless `break` said otherwise.
function Script:run_and_jump()
    moved = false
    if self:run() ~= "break" and moved then
        return ngx.req.set_uri(ngx.var.uri, true)
    end
end

function _M.new()
    return setmetatable({}, Script)
end

return _M
