-- Owns what is asked of a shared dictionary, here and in a real ngx_lua alike: an array of scenarios,
-- each {name, size in bytes, function(dict, show, wait)}. `show(...)` records values, `wait(seconds)` lets
-- time pass. Must use nothing else that differs between the two.
local scenarios = {}

local function scenario(name, size, run)
    scenarios[#scenarios + 1] = { name = name, size = size, run = run }
end

local SMALL, MEDIUM = 32 * 1024, 128 * 1024

-- The first call's results tell a failure from a value: pcall keeps errors comparable.
local function failure(f, ...)
    local ok, err = pcall(f, ...)
    return ok, ok and "" or (tostring(err):gsub("^.-:%d+: ", ""))
end

scenario("values keep their type", SMALL, function(d, show)
    for _, value in ipairs({ "text", "", "a\0b", 1, -2.5, 1e300, 0, true, false }) do
        show(d:set("k", value))
        show(d:get("k"))
        show(d:get_stale("k"))
    end
end)

scenario("keys are turned into strings", SMALL, function(d, show)
    show(d:set(12, "number"))
    show(d:get("12"))
    show(d:set(true, "boolean"))
    show(d:get("true"))
    show(d:get(1.5))
    show(d:incr(7, 1, 1))
    show(d:get("7"))
end)

scenario("bad keys", SMALL, function(d, show)
    local long = ("k"):rep(65536)
    for _, method in ipairs({ "get", "get_stale", "set", "safe_set", "add", "safe_add", "replace", "delete",
        "ttl", "lpop", "rpop", "llen" }) do
        local extra = method:find("set") or method:find("add") or method == "replace"
        if extra and method ~= "get_stale" then
            show(method, d[method](d, nil, 1))
            show(method, d[method](d, "", 1))
            show(method, d[method](d, long, 1))
        else
            show(method, d[method](d, nil))
            show(method, d[method](d, ""))
            show(method, d[method](d, long))
        end
    end
    for _, method in ipairs({ "incr", "expire", "lpush", "rpush" }) do
        show(method, d[method](d, nil, 1))
        show(method, d[method](d, "", 1))
        show(method, d[method](d, long, 1))
    end
    show(d:set(("k"):rep(20000), 1))
end)

scenario("bad values", SMALL, function(d, show)
    for _, method in ipairs({ "set", "safe_set", "add", "safe_add", "replace", "lpush", "rpush" }) do
        show(method, d[method](d, "k", {}))
        show(method, d[method](d, "k", print))
        show(method, d[method](d, "k", nil))
    end
    show(d:lpush("k", true))
end)

scenario("bad arguments raise", SMALL, function(d, show)
    show(failure(d.get, nil, "k"))
    show(failure(d.set, {}, "k", 1))
    show(failure(d.set, d, "k", 1, -1))
    show(failure(d.expire, d, "k"))
    show(failure(d.incr, d, "k", 1, "no number"))
    show(failure(d.incr, d, "k", 1, nil, 1))
    show(failure(d.incr, d, "k", 1, 1, -1))
    show(failure(d.incr, d, "k", 1, 1, "no number"))
    show(failure(d.lpush, d, "k"))
    show(failure(d.lpop, d, "k", "left"))
    show(failure(d.llen, d))
    show(failure(d.lpush, nil, "k", 1))
    show(failure(d.get_keys, d, 1, 2))
    show(failure(d.flush_expired, d, 1, 2))
    show((failure(d.incr, d, "k", "no number")))
    show((failure(d.get_keys, d, "no number")))
    show((failure(d.lpush, d, {}, 1)))
end)

scenario("add and replace", SMALL, function(d, show, wait)
    show(d:replace("k", 1))
    show(d:add("k", 1))
    show(d:add("k", 2))
    show(d:safe_add("k", 2))
    show(d:get("k"))
    show(d:replace("k", "longer than before"))
    show(d:get("k"))
    show(d:replace("k", 3, 0.01))
    wait(0.02)
    show(d:replace("k", 4))
    show(d:add("k", 5))
    show(d:get("k"))
    show(d:set("k", 6, 0.01))
    wait(0.02)
    show(d:safe_add("k", "of another size"))
    show(d:get("k"))
end)

scenario("delete", SMALL, function(d, show)
    show(d:delete("absent"))
    d:set("k", 1)
    show(d:delete("k"))
    show(d:get("k"))
    d:set("k", 1)
    show(d:set("k", nil))
    show(d:get("k"))
    d:set("k", 1)
    show(d:safe_set("k", nil))
    show(d:get_stale("k"))
end)

scenario("user flags", SMALL, function(d, show)
    show(d:set("k", "v", 0, 7))
    show(d:get("k"))
    show(d:get_stale("k"))
    show(d:set("k", "w", 0, 0))
    show(d:get("k"))
    show(d:get_stale("k"))
    show(d:set("k", "v", nil, -3))
    show(d:get("k"))
    show(d:set("k", "v", nil, 2.9))
    show(d:get("k"))
    d:set("n", 1, 0, 9)
    show(d:incr("n", 1))
    show(d:get("n"))
    d:add("a", false, 0, 5)
    show(d:get("a"))
    d:replace("a", false)
    show(d:get("a"))
end)

scenario("incr", SMALL, function(d, show)
    show(d:incr("n", 1))
    show(d:set("n", 1))
    show(d:incr("n", 2.5))
    show(d:incr("n", "3"))
    show(d:incr("n", -10))
    show(d:incr("n", 1, 100))
    show(d:incr("new", 1, 100))
    show(d:incr("new", 1, "100"))
    show(d:incr("new2", 5, 0, 0))
    show(d:ttl("new2"))
    d:set("s", "12345678")
    show(d:incr("s", 1))
    show(d:incr("s", 1, 0))
    d:set("b", true)
    show(d:incr("b", 1))
    d:rpush("l", 1)
    show(d:incr("l", 1, 1))
end)

scenario("incr gives a new key its time to live, an old one keeps its own", SMALL, function(d, show, wait)
    show(d:incr("k", 1, 0, 0.05))
    show(d:incr("k", 1, 0, 100))
    wait(0.06)
    show(d:get("k"))
    show(d:incr("k", 1))
    show(d:incr("k", 1, 10, "0.05"))
    wait(0.06)
    d:set("s", "eight by", 0.01, 3)
    wait(0.02)
    show(d:incr("s", 1, 5))
    show(d:get("s"))
    show(d:ttl("s"))
end)

scenario("expiry and stale values", SMALL, function(d, show, wait)
    d:set("other", 0)
    show(d:set("k", "v", 0.05, 2))
    show(d:get("k"))
    wait(0.06)
    show(d:get_stale("k"))
    show(d:ttl("k") < 0)
    show(d:get("absent"))
    show(d:get("k"))
    show(d:set("tiny", 1, 0.0004))
    show(d:ttl("tiny"))
end)

scenario("ttl and expire", SMALL, function(d, show, wait)
    show(d:ttl("k"))
    show(d:expire("k", 1))
    d:set("k", 1)
    show(d:ttl("k"))
    show(d:expire("k", 10))
    show(d:ttl("k") > 9 and d:ttl("k") <= 10)
    show(d:expire("k", 0))
    show(d:ttl("k"))
    show(d:expire("k", 0.02))
    show(d:expire("k", -1))
    show(d:ttl("k"))
    show(d:expire("k", 0.02))
    wait(0.03)
    show(d:expire("k", 10))
    show(d:get("k"))
end)

scenario("setting without a time to live takes it away", SMALL, function(d, show, wait)
    d:set("k", 1, 0.02)
    d:set("k", 2)
    wait(0.03)
    show(d:get("k"))
    d:set("l", "one", 0.02)
    d:replace("l", "more than one")
    wait(0.03)
    show(d:get("l"))
end)

scenario("keys come in order of use, the oldest first", SMALL, function(d, show, wait)
    show(#d:get_keys())
    for i = 1, 8 do
        d:set("k" .. i, i)
    end
    d:get("k3")
    d:get_stale("k1")
    d:incr("k2", 1)
    d:set("k4", 0)
    d:ttl("k5")
    d:expire("k5", 10)
    d:add("k6", 1)
    d:get("absent")
    show(table.concat(d:get_keys(), " "))
    show(table.concat(d:get_keys(3), " "))
    show(table.concat(d:get_keys(0), " "))
    show(table.concat(d:get_keys(-1), " "))
    d:expire("k7", 0.01)
    wait(0.02)
    show(table.concat(d:get_keys(), " "))
end)

scenario("get_keys gives 1024 unless told otherwise", 1024 * 1024, function(d, show)
    for i = 1, 1100 do
        d:set("k" .. i, i)
    end
    show(#d:get_keys(), #d:get_keys(0), #d:get_keys(1050))
end)

scenario("flush_all leaves stale values, flush_expired removes them", SMALL, function(d, show)
    for i = 1, 8 do
        d:set("k" .. i, i)
    end
    show(d:flush_all())
    show(#d:get_keys())
    for i = 1, 8 do
        show(d:get_stale("k" .. i))
    end
    show(d:flush_expired(2))
    show(d:flush_expired())
    show(d:flush_expired())
    for i = 1, 8 do
        show(d:get_stale("k" .. i))
    end
    show(d:set("k1", "again"))
    show(d:get("k1"))
end)

-- Releases of ngx_lua differ in where a stale entry that was looked at stands in the order of use,
-- so stale entries are only counted here.
for _, method in ipairs({ "get", "get_stale", "delete", "llen", "lpop", "ttl" }) do
    scenario(method .. " sweeps expired entries at the old end or does not", SMALL, function(d, show, wait)
        for i = 1, 7 do
            d:set("k" .. i, i, 0.01)
        end
        wait(0.02)
        show(d[method](d, "absent"))
        show(d:flush_expired())
    end)
end

scenario("writing sweeps two expired entries at the old end", SMALL, function(d, show, wait)
    for i = 1, 9 do
        d:set("k" .. i, i, 0.01)
    end
    wait(0.02)
    show(d:set("new", 1))
    show(d:incr("new", 1))
    show(d:rpush("list", 1))
    show(d:flush_expired())
end)

scenario("lists", SMALL, function(d, show)
    show(d:llen("l"))
    show(d:lpop("l"))
    show(d:rpop("l"))
    show(d:lpush("l", "b"))
    show(d:rpush("l", 3))
    show(d:lpush("l", "a"))
    show(d:rpush("l", ""))
    show(d:llen("l"))
    show(d:get("l"))
    show(d:get_stale("l"))
    show(d:lpop("l"))
    show(d:rpop("l"))
    show(d:lpop("l"))
    show(d:rpop("l"))
    show(d:llen("l"))
    show(d:get("l"))
    show(d:set("v", 1))
    show(d:lpush("v", 1))
    show(d:rpush("v", 1))
    show(d:lpop("v"))
    show(d:rpop("v"))
    show(d:llen("v"))
    show(d:lpush(5, 1))
    show(d:llen("5"))
    d:rpush("r", 1)
    show(d:replace("r", "value"))
    show(d:get("r"))
    d:rpush("s", 1)
    show(d:set("s", 2))
    show(d:get("s"))
    d:rpush("t", 1)
    show(d:add("t", 2))
    show(d:delete("t"))
    show(d:llen("t"))
end)

scenario("lists expire", SMALL, function(d, show, wait)
    d:set("other", 1)
    d:rpush("l", 1)
    show(d:ttl("l"))
    show(d:expire("l", 0.01))
    wait(0.02)
    show(d:get_stale("l"))
    show(d:rpush("l", 2))
    show(d:llen("l"))
    show(d:ttl("l"))
    show(d:expire("l", 0.01))
    wait(0.02)
    d:get("other")
    show(d:llen("l"))
    show(d:lpop("l"))
    d:set("v", 1, 0.01)
    wait(0.02)
    show(d:lpush("v", 1))
    show(d:get_stale("v"))
end)

scenario("capacity and free space of an empty dictionary", MEDIUM, function(d, show)
    show(d:capacity())
    show(d:free_space())
end)

for size in ("12288 16384 20000 65536 100000 1048576"):gmatch("%d+") do
    scenario("free space of " .. size .. " bytes as it fills", tonumber(size), function(d, show)
        show(d:capacity(), d:free_space())
        for i = 1, 20 do
            show(d:safe_set("key" .. i, ("v"):rep(i * 20)))
            show(d:free_space())
        end
    end)
end

scenario("free space comes back", MEDIUM, function(d, show)
    for _, length in ipairs({ 1, 60, 61, 200, 1000, 1900, 2100, 5000, 9000 }) do
        d:set("k", ("v"):rep(length))
        show(length, d:free_space())
        d:delete("k")
        show(d:free_space())
        for i = 1, 40 do
            d:rpush("l", i)
        end
        show(d:free_space())
        d:delete("l")
        show(d:free_space())
    end
end)

for _, length in ipairs({ 1, 10, 40, 100, 500, 1500, 3000 }) do
    scenario("how many values of " .. length .. " bytes fit, and what is evicted for more", MEDIUM, function(d, show)
        local value, fitted = ("v"):rep(length), 0
        for i = 1, 4000 do
            local ok, _, forcible = d:set(("%06d"):format(i), value)
            if not ok or forcible then
                break
            end
            fitted = i
        end
        show(fitted, #d:get_keys(0))
        show(d:safe_set("safe!", value))
        show(d:safe_add("safe!", value))
        for i = 1, 5 do
            show(d:set("more" .. i, value))
            show(d:incr("count" .. i, 1, 0))
        end
        show(d:get("000001"), d:get("000002"))
        show(d:get(("%06d"):format(fitted)) ~= nil)
    end)
end

scenario("a value that can never fit", SMALL, function(d, show)
    for i = 1, 5 do
        d:set("k" .. i, i)
    end
    local huge = ("v"):rep(SMALL)
    show(d:safe_set("huge", huge))
    show(#d:get_keys())
    show(d:set("huge", huge))
    show(#d:get_keys())
    for i = 1, 40 do
        d:set("k" .. i, i)
    end
    show(d:set("huge", huge))
    show(#d:get_keys())
    show(d:set("k40", huge))
    show(d:get("k40"))
end)

scenario("lists evict nothing", SMALL, function(d, show)
    d:set("k", 1)
    local pushed = 0
    for i = 1, 2000 do
        local length, err = d:rpush("l", i)
        if not length then
            show(length, err)
            break
        end
        pushed = i
    end
    show(pushed, d:llen("l"), d:get("k"))
    while d:safe_set("filler" .. pushed, 1) do
        pushed = pushed + 1
    end
    show(d:rpush("new list with a key of more than sixty-four bytes, so that it has no slot", 1))
    show(d:set("evicting", ("v"):rep(1000)))
end)

-- Pseudo-random numbers that are the same everywhere.
local function numbers(seed)
    return function(limit)
        seed = (seed * 16807) % 2147483647
        return seed % limit + 1
    end
end

local OPERATIONS = {
    function(d, key, n) return d:set(key, n) end,
    function(d, key, n) return d:set(key, ("v"):rep(n % 20), 0, n % 5) end,
    function(d, key, n) return d:safe_set(key, n % 2 == 0) end,
    function(d, key, n) return d:add(key, n, 0, n) end,
    function(d, key, n) return d:replace(key, ("v"):rep(n % 20)) end,
    function(d, key) return d:delete(key) end,
    function(d, key, n) return d:incr(key, n) end,
    function(d, key, n) return d:incr(key, n, 0) end,
    function(d, key) return d:get(key) end,
    function(d, key) return d:get_stale(key) end,
    function(d) return d:free_space() end,
    function(d, _, n) return table.concat(d:get_keys(n % 50), " ") end,
}

for seed = 1, 4 do
    scenario("random operations under memory pressure, seed " .. seed, SMALL, function(d, show)
        local random = numbers(seed)
        for _ = 1, 3000 do
            local operation, key = OPERATIONS[random(#OPERATIONS)], ("key%03d"):format(random(400))
            show(operation(d, key, random(1000)))
        end
    end)
end

local FRAGMENTING = {
    function(d, key, n) return d:set(key, ("v"):rep(n)) end,
    function(d, key, n) return d:set(key, ("v"):rep(n * 9)) end,
    function(d, key, n) return d:safe_set(key, ("v"):rep(n * 3)) end,
    function(d, key, n) return d:lpush("list " .. key, ("v"):rep(n)) end,
    function(d, key, n) return d:rpush("list " .. key, n % 2 == 0 and n or ("v"):rep(n % 200)) end,
    function(d, key) return d:lpop("list " .. key) end,
    function(d, key) return d:rpop("list " .. key) end,
    function(d, key) return d:llen("list " .. key) end,
    function(d, key) return d:delete(key) end,
    function(d, key) return d:delete("list " .. key) end,
    function(d, key) return d:incr(key, 1, 0) end,
}

-- Every size of memory, so that slots and runs of pages are taken and given back in all orders.
for seed = 5, 12 do
    scenario("memory in pieces of all sizes, seed " .. seed, MEDIUM, function(d, show)
        local random = numbers(seed)
        for _ = 1, 3000 do
            local operation, key = FRAGMENTING[random(#FRAGMENTING)], ("key%02d"):format(random(60))
            show(operation(d, key, random(1000)))
            show(d:free_space(), #d:get_keys(0))
        end
    end)
end

return scenarios
