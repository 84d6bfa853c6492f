-- Owns what snippets may use, in nginx and here alike: show, try, each and the fence. Must never make a
-- difference of its own between the two.
-- luacheck: globals render show try keep each fence

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

-- Marks a place in the log, and leaves the dictionaries empty.
function fence()
    for _, dict in pairs(ngx.shared) do
        dict:flush_all()
        dict:flush_expired()
    end
    ngx.log(ngx.ALERT, "fence ", ngx.var.args)
end
