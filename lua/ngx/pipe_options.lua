-- Owns the checks of what ngx.pipe is called with. Errors are those of lua-resty-core.
local error, ipairs, tonumber, tostring, type = error, ipairs, tonumber, tostring, type
local find = string.find

local TIMEOUT_MAX = 0xffffffff -- milliseconds
local DEFAULT_TIMEOUTS = { write = 10000, stdout = 10000, stderr = 10000, wait = 10000 }
local DEFAULTS = { merged = false, buffer_size = 4096, environ = nil, timeouts = DEFAULT_TIMEOUTS }

local _M = {}

-- The array of strings that args (such an array, or a command for the shell) stands for.
function _M.arguments(args)
    if type(args) == "string" then
        return { "/bin/sh", "-c", args }
    elseif type(args) ~= "table" then
        error("bad args arg: table expected, got " .. type(args), 3)
    end
    local argv = {}
    for i, arg in ipairs(args) do
        argv[i] = tostring(arg)
    end
    if #argv == 0 then
        error("bad args arg: non-empty table expected", 3)
    end
    return argv
end

local function environment(list)
    if type(list) ~= "table" then
        error("bad environ option: table expected, got " .. type(list), 4)
    end
    for i, entry in ipairs(list) do
        if type(entry) ~= "string" then
            error("bad value at index " .. i .. " of environ option: string expected, got " .. type(entry), 4)
        elseif not find(entry, "=", 2, true) then
            error("bad value at index " .. i .. " of environ option: 'name=[value]' format expected, got '"
                .. entry .. "'", 4)
        end
    end
    return list[1] and list
end

local function timeout(milliseconds, name, level)
    if milliseconds and (milliseconds < 0 or milliseconds > TIMEOUT_MAX) then
        error("bad " .. name .. "_timeout option", level)
    end
    return milliseconds
end

local function timeouts(before, write, stdout, stderr, wait, level)
    return {
        write = timeout(write, "write", level) or before.write,
        stdout = timeout(stdout, "stdout_read", level) or before.stdout,
        stderr = timeout(stderr, "stderr_read", level) or before.stderr,
        wait = timeout(wait, "wait", level) or before.wait,
    }
end

-- The timeouts `before` (milliseconds) with those replaced that are given.
function _M.timeouts(before, write, stdout, stderr, wait)
    return timeouts(before, write, stdout, stderr, wait, 4)
end

-- The options of spawn(), checked and complete.
function _M.read(opts)
    if not opts then
        return DEFAULTS
    end
    local size = 4096
    if opts.buffer_size then
        size = tonumber(opts.buffer_size)
        if not size or size < 1 then
            error("bad buffer_size option", 3)
        end
    end
    return {
        merged = opts.merge_stderr and true or false,
        buffer_size = size,
        environ = opts.environ and environment(opts.environ),
        timeouts = timeouts(DEFAULT_TIMEOUTS, opts.write_timeout, opts.stdout_read_timeout,
            opts.stderr_read_timeout, opts.wait_timeout, 5),
    }
end

return _M
