-- Owns the debug hook of a runtime under test: a budget of instructions, so that what runs away fails instead of
-- hanging the test, and the lines that ran. The JIT is off meanwhile, as compiled code calls no hooks.
local concat = table.concat
local error = error
local getinfo = debug.getinfo
local jit = jit
local next = next
local pairs = pairs
local sethook = debug.sethook
local sub = string.sub
local traceback = debug.traceback

local STEP = 1000 -- instructions between two looks
local GRACE = 1000000 -- for what follows such an error: the page of an error 500, the log

local _M = {}

local budget, left = 0, 0
local lines = {} -- source -> set of lines that ran

local function spend()
    left = left - STEP
    if left < 0 then
        left = GRACE
        error(traceback("more than " .. budget .. " instructions without an end", 2), 0)
    end
end

local function note(source, line)
    local seen = lines[source]
    if not seen then
        seen = {}
        lines[source] = seen
    end
    seen[line] = true
end

-- Begin. given: instructions until the next refill(), 0: any number. cover: whether lines are noted.
function _M.start(given, cover)
    jit.off()
    jit.flush()
    budget = given
    left = given
    sethook(function(event, line)
        if event == "line" then
            note(getinfo(2, "S").source, line)
        elseif budget > 0 then
            spend()
        end
    end, cover and "l" or "", given > 0 and STEP or 0)
end

-- The budget is whole again.
function _M.refill()
    left = budget
end

-- The lines that ran so far, as "file:line" in lines of text; of chunks that are files.
function _M.lines()
    local found = {}
    for source, seen in pairs(lines) do
        if sub(source, 1, 1) == "@" and next(seen) then
            for line in pairs(seen) do
                found[#found + 1] = sub(source, 2) .. ":" .. line
            end
        end
    end
    return concat(found, "\n")
end

return _M
