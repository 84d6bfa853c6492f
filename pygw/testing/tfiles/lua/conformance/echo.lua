-- Owns the echo module's directives: the steps of a content handler, what echo_before_body and
-- echo_after_body add, and the $echo_* variables.
local status = require "server.http.status"
local values = require "conformance.values"
local vars = require "server.vars"

local template = values.template
local concat = table.concat
local gmatch, rep = string.gmatch, string.rep
local assert, io_open, ipairs, tonumber = assert, io.open, ipairs, tonumber

local _M = {}

local own = {}

local function file_content(path)
    local file = assert(io_open(path, "rb"))
    local body = file:read("*a")
    file:close()
    return body
end

function own.echo_request_body()
    local path = ngx.req.get_body_file()
    return path and file_content(path) or ngx.req.get_body_data()
end

function own.echo_client_request_headers()
    return ngx.req.raw_header()
end

function own.echo_client_request_method()
    return ngx.var.request_method
end

function own.echo_request_method()
    return ngx.req.get_method()
end

function own.echo_client_request_uri()
    return ngx.var.request_uri
end

own.echo_request_uri = own.echo_client_request_uri
own.echo_cacheable_request_uri = own.echo_client_request_uri

function own.echo_response_status()
    return ngx.status
end

function own.echo_it()
    return ngx.ctx.echo_it
end

vars.add({ unlisted = own })

-- What the arguments of `echo` say, and whether a line ends there.
local function line_of(args)
    local first, newline = 1, "\n"
    while args[first] == "-n" do
        first, newline = first + 1, ""
    end
    if args[first] == "--" then
        first = first + 1
    end
    local parts = {}
    for i = first, #args do
        parts[#parts + 1] = template(args[i])
    end
    return function()
        local out = {}
        for i, part in ipairs(parts) do
            out[i] = part()
        end
        return concat(out, " ") .. newline
    end
end

local steps = {} -- directive -> function(directive) -> a step

function steps.echo(directive)
    local line = line_of(directive.args)
    return function()
        return ngx.print(line())
    end
end

function steps.echo_duplicate(directive)
    local count, text = template(directive.args[1]), template(directive.args[2])
    return function()
        return ngx.print(rep(text(), tonumber((count():gsub("_", "")))))
    end
end

function steps.echo_flush()
    return function()
        return ngx.flush(true)
    end
end

function steps.echo_sleep(directive)
    local seconds = template(directive.args[1])
    return function()
        return ngx.sleep(tonumber(seconds()))
    end
end
steps.echo_blocking_sleep = steps.echo_sleep

function steps.echo_status(directive)
    local code = tonumber(directive.args[1])
    return function()
        ngx.status = code
    end
end

function steps.echo_reset_timer()
    return function() end
end

function steps.echo_read_request_body()
    return function()
        return ngx.req.read_body()
    end
end

function steps.echo_request_body()
    return function()
        return ngx.print(own.echo_request_body() or "")
    end
end

function steps.echo_exec(directive)
    local uri, args = template(directive.args[1]), template(directive.args[2] or "")
    return function()
        local query = args()
        return ngx.exec(uri(), query ~= "" and query or nil)
    end
end

local function fetch(uri, options)
    if not ngx.headers_sent then
        ngx.send_headers()
    end
    local res = ngx.location.capture(uri, options)
    if res.body == "" and res.status >= 300 then -- nginx sends its page for that as the subrequest's output
        return ngx.print(status.page(res.status))
    end
    return ngx.print(res.body)
end

function steps.echo_location(directive)
    local uri, args = template(directive.args[1]), template(directive.args[2] or "")
    return function()
        local query = args()
        return fetch(uri(), { args = query ~= "" and query or nil })
    end
end
steps.echo_location_async = steps.echo_location

local OPTIONS = { ["-q"] = "args", ["-b"] = "body", ["-f"] = "file" }

local function body_of(options)
    return options.file and file_content(options.file()) or options.body and options.body()
end

function steps.echo_subrequest(directive)
    local args = directive.args
    local method, uri, options = template(args[1]), template(args[2]), {}
    for i = 3, #args, 2 do
        options[OPTIONS[args[i]]] = template(args[i + 1])
    end
    return function()
        return fetch(uri(), {
            method = ngx["HTTP_" .. method()], args = options.args and options.args(), body = body_of(options),
        })
    end
end
steps.echo_subrequest_async = steps.echo_subrequest

function steps.echo_foreach_split(directive)
    return function() end, directive
end
steps.echo_end = steps.echo_foreach_split

_M.steps = steps

-- The loop that `echo_foreach_split` begins: its steps run once for each piece of the text.
local function loop(directive, body)
    local separator, text = directive.args[1], template(directive.args[2])
    return function()
        for piece in gmatch(text() .. separator, "(.-)" .. separator:gsub("%p", "%%%0")) do
            ngx.ctx.echo_it = piece
            for _, step in ipairs(body) do
                step()
            end
        end
    end
end

-- The content handler of a list of directives.
function _M.content(directives)
    local all = {}
    local into = all
    for _, directive in ipairs(directives) do
        if directive.name == "echo_foreach_split" then
            into = {}
            all[#all + 1] = loop(directive, into)
        elseif directive.name == "echo_end" then
            into = all
        else
            into[#into + 1] = steps[directive.name](directive)
        end
    end
    return function()
        for _, step in ipairs(all) do
            step()
        end
    end
end

-- A body filter that puts lines before and after the body. before, after: lists of directives.
function _M.body_filter(before, after)
    local first, last = {}, {}
    for i, directive in ipairs(before) do
        first[i] = line_of(directive.args)
    end
    for i, directive in ipairs(after) do
        last[i] = line_of(directive.args)
    end
    return function()
        local ctx, chunk = ngx.ctx, ngx.arg[1] or ""
        if not ctx.echo_began then
            ctx.echo_began = true
            for i = #first, 1, -1 do
                chunk = first[i]() .. chunk
            end
        end
        if ngx.arg[2] then
            for _, line in ipairs(last) do
                chunk = chunk .. line()
            end
        end
        ngx.arg[1] = chunk
    end
end

return _M
