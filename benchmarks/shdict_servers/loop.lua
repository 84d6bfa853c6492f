-- Owns the loop that is measured: a content handler for nginx + ngx_lua and for pygw alike. It must never yield,
-- so that one request has its process to itself.
--
--   /pid                           the number of the process
--   /run?op=get&seconds=1&of=2     wait until `of` processes are here, then run one operation for so long;
--                                  answers "operations seconds CPU-seconds"
local KEYS, CHUNK = 1000, 5000

local dict, control = ngx.shared.measured, ngx.shared.control
local keys, values, counters = {}, {}, {}
for i = 0, KEYS - 1 do
    keys[i], values[i], counters[i] = "a key: " .. i, "a value of the usual sort: " .. i, "a counter: " .. i
end

local operations = {
    get = function()
        for i = 1, CHUNK do
            dict:get(keys[i % KEYS])
        end
    end,
    set = function()
        for i = 1, CHUNK do
            dict:set(keys[i % KEYS], values[i % KEYS])
        end
    end,
    incr = function()
        for i = 1, CHUNK do
            dict:incr(counters[i % KEYS], 1)
        end
    end,
}

local function now()
    ngx.update_time()
    return ngx.now()
end

local function gather(of)
    local place = "here for " .. of
    control:incr(place, 1, 0)
    while control:get(place) % of ~= 0 do -- luacheck: ignore 542
    end
end

local function run()
    local operation, seconds = operations[ngx.var.arg_op], tonumber(ngx.var.arg_seconds)
    for i = 0, KEYS - 1 do
        dict:set(keys[i], values[i])
        dict:set(counters[i], 0)
    end
    for _ = 1, 20 do -- for the JIT
        operation()
    end
    gather(tonumber(ngx.var.arg_of))
    local cpu, begun, done = os.clock(), now(), 0
    repeat
        operation()
        done = done + CHUNK
    until now() >= begun + seconds
    return done .. " " .. now() - begun .. " " .. os.clock() - cpu
end

return function()
    local answer = ngx.var.uri == "/run" and run() or tostring(ngx.worker.pid())
    ngx.header.content_length = #answer
    ngx.print(answer)
end
