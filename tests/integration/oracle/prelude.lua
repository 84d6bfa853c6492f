-- Owns what snippets may use, in nginx and here alike: show, try, each and the fence. Must never make a
-- difference of its own between the two.
-- luacheck: globals render show try keep each attempts fence

local ffi_type = type

local function quote(text)
    return '"' .. text:gsub('[^\32-\126]', function(c)
        return ("\\%03d"):format(c:byte())
    end) .. '"'
end

-- A value as text: tables sorted by key, numbers in full.
function render(value, depth)
    local kind = ffi_type(value)
    if kind == "string" then
        return quote(#value > 300 and value:sub(1, 100) .. "… of " .. #value or value)
    elseif kind == "number" then
        return ("%.17g"):format(value)
    elseif value == ngx.null then
        return "null"
    elseif kind == "table" then
        if (depth or 0) > 5 then
            return "{…}"
        end
        local parts = {}
        for k, v in pairs(value) do
            parts[#parts + 1] = render(k, (depth or 0) + 1) .. " = " .. render(v, (depth or 0) + 1)
        end
        table.sort(parts)
        return "{" .. table.concat(parts, ", ") .. "}"
    elseif kind == "boolean" or kind == "nil" then
        return tostring(value)
    end
    return kind
end

local function render_all(...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = render((select(i, ...)))
    end
    return table.concat(parts, ", ")
end

-- Say all values.
function show(...)
    ngx.say(render_all(...))
end

local function outcome(ok, ...)
    if ok then
        return render_all(...)
    end
    return "raises " .. render((...))
end

-- Say what fn(...) returns or raises.
function try(fn, ...)
    ngx.say(outcome(pcall(fn, ...)))
end

-- Its arguments: a call in tail position has no name in Lua's messages.
function keep(...)
    return ...
end

-- Say for each line of text, an expression, what it gives. env: further names that it may use.
function each(text, env)
    local names = setmetatable(env or {}, { __index = _G })
    for line in text:gmatch("[^\n]+") do
        line = line:match("^%s*(.-)%s*$")
        if line ~= "" then
            local chunk = assert(loadstring("return keep(" .. line .. ")", "=each"))
            ngx.say(line, " -> ", outcome(pcall(setfenv(chunk, names))))
        end
    end
end

-- What ngx_lua allows in some contexts only, harmlessly called where it is allowed.
local CALLS = [[
    ngx.get_phase()
    ngx.sleep(0)
    ngx.print("")
    ngx.say("")
    ngx.flush()
    ngx.eof(1)
    ngx.send_headers(1)
    ngx.exec("")
    ngx.redirect("", 1)
    ngx.on_abort(tostring)
    ngx.req.read_body()
    ngx.req.get_body_data()
    ngx.req.get_body_file()
    ngx.req.get_post_args("x")
    ngx.req.discard_body(1)
    ngx.req.set_body_data()
    ngx.req.append_body()
    ngx.req.finish_body(1)
    ngx.req.get_headers()
    ngx.req.set_header("x-attempt", "y")
    ngx.req.clear_header("x-attempt")
    ngx.req.get_method()
    ngx.req.set_method(ngx.HTTP_GET)
    ngx.req.get_uri_args()
    ngx.req.set_uri_args("")
    ngx.req.set_uri("/attempt")
    ngx.req.http_version()
    ngx.req.raw_header()
    ngx.req.is_internal()
    ngx.resp.get_headers()
    ngx.header["x-attempt"]
    ngx.status
    ngx.headers_sent
    ngx.var.uri
    type(ngx.ctx)
    ngx.location.capture()
    ngx.location.capture_multi()
    ngx.socket.tcp()
    ngx.socket.udp()
    ngx.timer.at(0)
    ngx.timer.every(0)
    ngx.thread.spawn()
    ngx.thread.wait()
    ngx.thread.kill()
    ngx.now() > 0
    ngx.worker.id()
    ngx.re.match("a", "a")
    ngx.shared.dogs:get("a")
    ngx.md5("a")
]]

-- Log what comes of each of these calls where this is called.
function attempts()
    for line in CALLS:gmatch("[^\n]+") do
        line = line:match("^%s*(.-)%s*$")
        local chunk = assert(loadstring("return keep(" .. line .. ")", "=attempt"))
        local ok, result = pcall(chunk)
        ngx.log(ngx.WARN, line, " -> ", ok and type(result) or result)
    end
end

-- Marks a place in the log, and leaves the dictionaries empty.
function fence()
    for _, dict in pairs(ngx.shared) do
        dict:flush_all()
        dict:flush_expired()
    end
    ngx.log(ngx.ALERT, "fence ", ngx.var.args)
end
