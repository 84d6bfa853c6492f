-- Owns the trace log that specifications of lua-resty-core ask LuaJIT's jit.v for: a line for each trace that
-- was compiled or given up, in the words that jit.v uses. LuaJIT's own file comes with LuaJIT alone.
local jit = require "jit"
local jutil = require "jit.util"

local format, match, sub = string.format, string.match, string.sub
local io_open, tostring, type = io.open, tostring, type

local SERVER = match(debug.getinfo(require("ngx.errlog").set_filter_level or ngx.log, "S").source, "^(.*/)ngx/")
    .. "server/"

-- What the numbers of lj_traceerr.h say, as far as specifications ask: what cannot be compiled at all.
local NYI = {
    [7] = "NYI: bytecode", [15] = "NYI: unsupported variant of FastFunc", [16] = "NYI: return to lower frame",
    [20] = "NYI: mixed sparse/dense table", [22] = "NYI: unsupported C type conversion",
    [23] = "NYI: unsupported C function type",
}

local _M = {}

local out, start_at, start_from
local shown, count = {}, 0 -- the numbers of traces, among those that are told

-- Where a function stands: "chunk:line"; nil in the server's own code: of that is only told what was compiled.
local function place(fn, pc)
    local info = jutil.funcinfo(fn, pc)
    if info.source and sub(info.source, 1, #SERVER) == SERVER then
        return nil
    end
    return info.loc or "C:" .. tostring(info.addr)
end

local function number_of(trace)
    if not shown[trace] then
        count = count + 1
        shown[trace] = count
    end
    return shown[trace]
end

local function link_of(info, trace)
    if info.linktype == "loop" or info.link == trace then
        return info.linktype
    elseif info.link and info.link ~= 0 then
        return "-> " .. number_of(info.link)
    end
    return "-> " .. info.linktype
end

local function on_trace(what, trace, fn, pc, other, exit)
    if what == "start" then
        start_at = place(fn, pc)
        start_from = type(other) == "number" and format("(%d/%s) ", number_of(other), exit == -1 and "stitch" or exit)
            or ""
    elseif start_at and what == "abort" then
        out:write(format("[TRACE --- %s%s -- %s at %s]\n", start_from, start_at,
            NYI[other] or "error " .. tostring(other), place(fn, pc) or "the server"))
    elseif what == "stop" and not start_at then
        out:write(format("[TRACE %3s the server]\n", number_of(trace)))
    elseif what == "stop" then
        out:write(format("[TRACE %3s %s%s %s]\n", number_of(trace), start_from, start_at,
            link_of(jutil.traceinfo(trace), trace)))
    end
    out:flush()
end

-- Append lines to the file of that name from now on.
function _M.on(path)
    out = out or io_open(path, "a")
    jit.attach(on_trace, "trace")
end

return _M
