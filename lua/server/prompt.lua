-- Owns the Lua side of `pygw shell`: code that somebody types, compiled, run and shown. All of it runs as tasks of one
-- request, in the phase of a timer: what waits may wait, and a socket or a thread of one line is there in the next.
-- Called by pygw.cli.shell alone, outside of any request.
local cosockets = require "server.cosocket"
local inspect = require "inspect"
local light_threads = require "server.light_threads"
local serial = require "server.serial"
local settings = require "server.settings"
local task = require "server.task"

local concat, find, gsub, match = table.concat, string.find, string.gsub, string.match
local loadstring, pcall, rawequal, select, setfenv = loadstring, pcall, rawequal, select, setfenv
local error, setmetatable, tostring, type = error, setmetatable, tostring, type
local sethook, traceback = debug.sethook, debug.traceback
local jit_off = jit.off

local NAME = "=prompt"
local DEPTH = 5 -- of tables that are shown, less where that gives too much
local LONGEST = 10000 -- bytes of a table with more than one level
local PERIOD = 100000 -- instructions between two looks at whether somebody has pressed Ctrl-C

local _M = {}

local done, is_interrupted -- Python's, see open()
local request, main
local env = setmetatable({}, { __index = _G }) -- globals of the prompt are its own

-- What cannot be read from a table's text: numbers of cdata, addresses of functions.
local function shown(value)
    local kind = type(value)
    if kind == "table" or kind == "string" then
        local text
        for depth = DEPTH, 1, -1 do
            text = inspect(value, { depth = depth })
            if #text <= LONGEST then
                break
            end
        end
        return text
    end
    return tostring(value)
end

local function all_shown(results)
    local texts = {}
    for i = 1, results.n do
        local ok, text = pcall(shown, results[i])
        texts[i] = ok and text or type(results[i])
    end
    local text = concat(texts, "\t")
    return find(text, "\n", 1, true) and concat(texts, "\n") or text
end

local function pack(...)
    return { n = select("#", ...), ... }
end

-- The error and where it was; without the frames of this file.
local function failure(self, err)
    local stack = traceback(self.died and rawequal(self.died.err, err) and self.died.co or self.co)
    stack = gsub(stack, "\n[^\n]*server/prompt%.lua:[^\n]*", "")
    local text = type(err) == "string" and err or shown(err)
    return find(stack, "\n", 1, true) and text .. "\n" .. stack or text
end

local function on_done(self, ok, results)
    if main ~= self then
        return
    end
    main = nil
    if not ok then
        return done(false, failure(self, results), nil)
    end
    return done(true, results and results.n > 0 and all_shown(results) or nil, results and results.n > 0 and results[1])
end

-- Begin. finish(ok, text, first): a line has ended; text: its results, nil without any, or its failure; first: its
-- first result. output(text): what code prints. interrupted(): whether the line that runs is to end.
function _M.open(finish, output, interrupted)
    done, is_interrupted = finish, interrupted
    request = { phase = "timer", stage = "timer", connection = serial(), settings = settings }
    function env.print(...)
        local texts = pack(...)
        for i = 1, texts.n do
            texts[i] = tostring(texts[i])
        end
        output(concat(texts, "\t", 1, texts.n) .. "\n")
    end
end

-- Code as a function that takes pack() and returns all results by it. An expression is an argument:
-- were it returned as it is, an error in it would have lost its place (a tail call).
local function compiled(code)
    local expression = match(match(code, "^%s*return%f[%W](.*)$") or code, "^(.-)%s*$")
    local before = "local pack = ... return pack(" .. expression
    return loadstring("return " .. expression, NAME)
        and (loadstring(before .. ")", NAME) or loadstring(before .. "\n)", NAME)) -- after a comment
        or loadstring("local function run() " .. code .. "\nend return (...)(run())", NAME)
end

-- What becomes of that code: nil when it can be run, "more" when its end is missing, or the fault.
function _M.fault(code)
    if loadstring("return " .. code, NAME) then
        return nil
    end
    local chunk, err = loadstring(code, NAME)
    if chunk then
        return nil
    end
    return find(err, "'<eof>'", 1, true) and "more" or err
end

local function look_up()
    if is_interrupted() then
        error("interrupted", 0)
    end
end

-- Run code that has no fault; finish() hears how it ended.
function _M.run(code)
    local chunk = compiled(code)
    setfenv(chunk, env)
    jit_off(chunk, true) -- compiled loops call no hook
    main = task.new(function()
        return chunk(pack)
    end, request, on_done)
    request.task = main
    sethook(look_up, "", PERIOD)
    return task.resume(main)
end

-- End the line that waits.
function _M.interrupt()
    local waiting = main
    if waiting then
        main = nil
        task.kill(waiting)
        if waiting.socket then
            require("server.cosocket_closing").drop(waiting.socket)
            waiting.socket = nil
        end
        return done(false, "interrupted", nil)
    end
end

-- End all that the lines have left running.
function _M.close()
    sethook()
    light_threads.kill_all(request)
    cosockets.close_all(request)
    if request.processes then
        require("ngx.pipe").destroy_all(request)
    end
end

-- A value as JSON, as far as JSON can say it.
function _M.encoded(value)
    return require("apisix.core.json").encode(value, true)
end

return _M
