-- Owns the module resty.shell: a command run to its end, with what it wrote (API of lua-resty-shell).
local pipe = require "ngx.pipe"
local signal = require "resty.signal"

local concat = table.concat
local ngx = ngx
local tostring = tostring

local MAX_SIZE = 128 * 1024
local OPTIONS = { buffer_size = 32 * 1024 }
local PATIENCE = 0.001 -- seconds between TERM and KILL

local _M = { version = 0.03 }

-- End a process that is of no more use. Returns the error text, with what went wrong in that.
local function abandon(proc, err)
    local pid = proc:pid()
    local ok, why = signal.kill(pid, "TERM")
    if not ok then
        return tostring(err) .. "; failed to kill process " .. pid .. ": " .. tostring(why)
    end
    ngx.sleep(PATIENCE)
    signal.kill(pid, "KILL")
    return tostring(err)
end

-- Read a stream to its end into `pieces`. Returns nil, or what kept it from being read to the end.
local function collect(proc, method, pieces, max_size)
    local left = max_size
    while left >= 0 do
        local data, err, partial = proc[method](proc, left + 1)
        local piece = data or partial
        if piece then
            pieces[#pieces + 1] = piece
            left = left - #piece
        end
        if err then
            return err ~= "closed" and err or nil
        end
    end
    return "too much data"
end

local function feed(proc, stdin)
    if stdin and stdin ~= "" then
        local bytes, err = proc:write(stdin)
        if not bytes then
            return "failed to write to stdin: " .. abandon(proc, err)
        end
    end
    local ok, err = proc:shutdown("stdin")
    return not ok and "failed to shutdown stdin: " .. abandon(proc, err) or nil
end

-- What a reading thread came to, as an error text about `name`, or nil.
local function outcome(thread, name)
    local ok, err = ngx.thread.wait(thread)
    if not ok then
        return "failed to wait " .. name .. " thread: " .. tostring(err)
    end
    return err and "failed to read " .. name .. ": " .. tostring(err)
end

-- Run cmd (a shell command, or an array of arguments). stdin: what it reads; timeout: milliseconds for each wait
-- (10000); max_size: bytes of each stream (128 KiB). Returns whether it ended with 0, stdout, stderr, "exit" or
-- "signal", and the number of either; or nil, what has come of both streams or nil, and an error text.
function _M.run(cmd, stdin, timeout, max_size)
    max_size = max_size or MAX_SIZE
    local proc, err = pipe.spawn(cmd, OPTIONS)
    if not proc then
        return nil, nil, nil, "failed to spawn: " .. tostring(err)
    end
    proc:set_timeouts(timeout, timeout, timeout, timeout)
    err = feed(proc, stdin)
    if err then
        return nil, nil, nil, err
    end
    local out, errors = {}, {}
    local out_thread = ngx.thread.spawn(collect, proc, "stdout_read_any", out, max_size)
    local err_thread = ngx.thread.spawn(collect, proc, "stderr_read_any", errors, max_size)
    local ok, reason, status = proc:wait()
    if ok == nil then
        err = "failed to wait for process: " .. abandon(proc, reason)
        return nil, concat(out), concat(errors), err
    end
    err = outcome(out_thread, "stdout") or outcome(err_thread, "stderr")
    if err then
        return nil, concat(out), concat(errors), err
    end
    return ok, concat(out), concat(errors), reason, status
end

return _M
