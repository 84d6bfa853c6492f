-- Owns the calls of tests/integration/ngx/test_any_values.py: every function of ngx.* and of the modules beside it,
-- with all that can be wrong. /?names=1 lists them; /?name=NAME&from=N makes NAME's calls from the Nth on;
-- /?progress=1 tells which was begun last.

local MODULES = {
    "ngx.re", "ngx.semaphore", "ngx.balancer", "ngx.errlog", "ngx.base64", "ngx.req", "ngx.resp", "ngx.process",
    "ngx.ssl", "cjson", "cjson.safe", "table.new", "table.clear", "table.nkeys", "table.isarray", "table.isempty",
    "table.clone", "resty.lrucache", "resty.string", "resty.md5", "resty.sha1", "resty.random", "resty.lock",
    "resty.sha256", "resty.hmac", "resty.aes", "resty.limit.req", "resty.limit.count", "resty.core.uri",
    "resty.core.hash", "resty.core.shdict", "resty.core.time", "resty.core.misc", "resty.core.var",
    "resty.core.request",
    "resty.core.response", "resty.core.base64", "resty.core.regex", "resty.dns.resolver", "resty.upload", "ngx.pipe",
    "ngx.ocsp", "ngx.ssl.session", "ngx.ssl.clienthello",
}
-- They are there to stop the worker, or end with a process of their own.
local LEFT_OUT = { ["ngx.process.signal_graceful_exit"] = true, ["ngx.process.enable_privileged_agent"] = true }
local OBJECTS = {
    ["a socket"] = function() return ngx.socket.tcp() end,
    ["a udp socket"] = function() return ngx.socket.udp() end,
    ["a dictionary"] = function() return ngx.shared.dogs end,
    ["a semaphore"] = function() return require("ngx.semaphore").new(1) end,
    ["an lrucache"] = function() return require("resty.lrucache").new(3) end,
    ["an md5"] = function() return require("resty.md5"):new() end,
    ["an hmac"] = function() return require("resty.hmac"):new("key") end,
    ["a cipher"] = function() return require("resty.aes"):new("key") end,
    ["a pattern's matches"] = function() return ngx.re.gmatch("abc", "b") end,
    ["a lock"] = function() return require("resty.lock"):new("dogs") end,
    ["a cjson"] = function() return require("cjson").new() end,
}

local function cyclic()
    local t = { 1 }
    t[2], t.self = t, t
    return t
end

local function values()
    return {
        "nil", true, false, 0, -1, 1, 2, 0.5, -0.5, 0 / 0, 1 / 0, -1 / 0, 2 ^ 31, -2 ^ 31, 2 ^ 53, 1e300, 255, 65536,
        "", "a", "\0\255", "1", "x.y", "(", "$1", ("x"):rep(100000), ("\255"):rep(70000), "http://[", "unix:",
        "127.0.0.1",
        {}, { 1, 2 }, { a = 1 }, { { {} } }, { true, false }, { "a", n = 1e9 }, { [2 ^ 40] = 1 }, cyclic(),
        setmetatable({}, { __index = function() error("no") end, __tostring = function() return 1 end }),
        function() end, function() error("oops") end, print, coroutine.create(function() end), coroutine.running(),
        1LL, 2ULL, newproxy(), newproxy(true), ngx.null, io.stdout, -- pointers are the FFI's, which may crash all
    }
end

-- The numbers of the values that call i of a function takes: each value alone, then several by chance.
local function choice(i, count)
    if i == 0 then
        return {}
    elseif i <= count then
        return { i }
    end
    local seed = (i * 7919) % 65521
    local chosen = {}
    for place = 1, 1 + seed % 5 do
        seed = (seed * 75 + 74) % 65537
        chosen[place] = 1 + seed % count
    end
    return chosen
end

local CALLS = 130 -- of each function

local found, names = {}, {}

local function add(name, make)
    if not LEFT_OUT[name] and not found[name] then
        found[name] = make
        names[#names + 1] = name
    end
end

local function add_table(name, t, seen)
    if seen[t] then
        return
    end
    seen[t] = true
    for key, value in pairs(t) do
        local path = name .. "." .. tostring(key)
        if type(value) == "function" then
            add(path, function() return value end)
        elseif type(value) == "table" then
            add_table(path, value, seen)
        end
    end
end

local function add_methods(name, make)
    local object = make()
    local class = object
    local meta = getmetatable(object)
    if meta and type(meta.__index) == "table" then
        class = meta.__index
    end
    for key, method in pairs(class) do
        if type(method) == "function" then
            add(name .. ":" .. key, function() return method, make() end)
        end
    end
end

local function collect()
    if names[1] then
        return
    end
    add_table("ngx", ngx, {})
    for name in pairs({ status = 1, ctx = 1, arg = 1, header = 1, var = 1 }) do
        add("set ngx." .. name, function() return function(value) ngx[name] = value end end)
    end
    for _, name in ipairs({ "var", "header", "ctx", "arg", "shared" }) do
        add("get of ngx." .. name, function() return function(key) return ngx[name][key] end end)
        add("set of ngx." .. name, function() return function(key, value) ngx[name][key] = value end end)
    end
    for name, fn in pairs(coroutine) do
        add("coroutine." .. name, function() return fn end)
    end
    for _, name in ipairs(MODULES) do
        local ok, module = pcall(require, name)
        if ok and type(module) == "table" then
            add_table(name, module, {})
        elseif ok then
            add(name, function() return module end)
        end
    end
    for name, make in pairs(OBJECTS) do
        add_methods(name, make)
    end
    table.sort(names)
end

local progress = 0

local function call(make, i)
    local all = values()
    local chosen, args = choice(i, #all), {}
    for place, number in ipairs(chosen) do
        local value = all[number]
        if number == 1 then
            value = nil
        end
        args[place] = value
    end
    local fn, object = make()
    if object ~= nil then
        return fn(object, unpack(args, 1, #chosen))
    end
    return fn(unpack(args, 1, #chosen))
end

-- Make the calls one by one; whoever waits is not waited for.
local function run(name, from, spawns)
    local make = found[name]
    for i = from, CALLS do
        progress = i
        if spawns then
            local thread = ngx.thread.spawn(pcall, call, make, i)
            ngx.thread.kill(thread)
        else
            pcall(call, make, i)
        end
    end
    progress = CALLS + 1
end

-- The same in a timer; waits until that has run, whatever ended it.
local function run_in_timer(name, from)
    local begun = false
    ngx.timer.at(0, function()
        begun = true
        run(name, from, true)
    end)
    while not begun or ngx.timer.running_count() > 0 do
        ngx.sleep(0.001)
    end
end

return {
    init = function() require("ngx.shdict").declare("dogs", 1048576) end,
    content = function()
        collect()
        local args = ngx.req.get_uri_args()
        if args.names then
            ngx.say(table.concat(names, "\n"))
        elseif args.progress then
            ngx.say(progress)
        elseif args.fine then
            ngx.say("fine")
        elseif args.timer then
            run_in_timer(args.name, tonumber(args.from))
        else
            run(args.name, tonumber(args.from), true)
        end
    end,
}
