-- Owns the question which workers the master of this process has. Asks the system, not the master.
local sysinfo = require "server.sysinfo"

local find, gmatch = string.find, string.gmatch
local open, tonumber = io.open, tonumber

local WORKER, AGENT = "\0pygw.process.worker\0", "\0--agent\0" -- in a command line (pygw/process/master.py)

local function read(path)
    local file = open(path, "rb")
    if not file then
        return "" -- it has just ended
    end
    local text = file:read("*a")
    file:close()
    return text or ""
end

-- Their process ids; while a reload is under way also those of the old ones.
return function()
    local master, pids = sysinfo.getppid(), {}
    for pid in gmatch(read("/proc/" .. master .. "/task/" .. master .. "/children"), "%d+") do
        local command = read("/proc/" .. pid .. "/cmdline")
        if find(command, WORKER, 1, true) and not find(command, AGENT, 1, true) then
            pids[#pids + 1] = tonumber(pid)
        end
    end
    if #pids == 0 then -- a master of another kind
        pids[1] = sysinfo.getpid()
    end
    return pids
end
