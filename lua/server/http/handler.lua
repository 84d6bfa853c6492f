-- Owns the entries to a request's run: its beginning, and where it goes on after ngx.exit, ngx.exec, an error,
-- or the end of who asked for it. The way itself stands in server.http.stages.
local light_threads = require "server.light_threads"
local output = require "server.http.output"
local redirects = require "server.http.redirects"
local servers = require "server.http.servers"
local stages = require "server.http.stages"
local task = require "server.task"

local choose = servers.choose
local answer, finish, log_phase, over = stages.answer, stages.finish, stages.log_phase, stages.over
local enter, go_on_at, locate, server_rewrite = stages.enter, stages.go_on_at, stages.locate, stages.server_rewrite

local byte = string.byte
local AT = 64
local OK, ERROR, DECLINED, AGAIN, DONE = 0, -1, -5, -2, -4

local _M = {}

-- Run a request whose head has been read.
function _M.run(r)
    local home = r.home
    if home then -- there is but one location
        r.location = home
        return enter(r)
    end
    local server = choose(r.conn.site, r)
    r.server, r.location, r.settings = server, server.outer, server.outer.settings
    return server_rewrite(r)
end

-- Run a subrequest that was made ready.
_M.run_subrequest = server_rewrite

-- Answer a request that never came to its phases (it was malformed, or too late).
function _M.refuse(r, code, detail)
    r.stage = "content"
    r.uri, r.request_uri = r.uri or "", r.request_uri or ""
    local site = r.conn.site
    r.location = site.home or site.default.outer
    r.settings = r.location.settings
    if code == 408 then
        r.status = 408
        r.aborted = true
        return log_phase(r)
    end
    return answer(r, code, detail)
end

local function drop_upstream(r)
    if r.pump then
        task.kill(r.pump)
        r.pump = nil
    end
    if r.upstream_connection then
        r.upstream_connection:close()
        r.upstream_connection = nil
    end
    if r.balancer and not r.watching then
        r.stream.on_hangup = nil
    end
end

-- The codes that end a request without a word (ngx_http_finalize_request); ERROR does too.
local SILENT = { [408] = true, [444] = true, [499] = true }

-- End r, a main request none of whose tasks is running now, with a code.
function _M.abandon_all(r, code)
    light_threads.kill_all(r)
    task.kill(r.task)
    return r:restart(_M.exit, code)
end

-- End the whole request that r belongs to, once what runs now has waited.
local function end_main(r, code)
    light_threads.kill_all(r.main)
    task.kill(r.main.task)
    return task.later(function()
        return _M.abandon_all(r.main, code)
    end)
end

local function drop(r, code)
    if not r.header_sent then
        r.status = code
    end
    r.aborted, r.keepalive = true, false
    return log_phase(r)
end

-- What ran of r when it was left is over.
local function abandon(r)
    light_threads.kill_all(r)
    drop_upstream(r)
    r.phase = r.stage
end

-- Where a stage that ended well leads to.
local NEXT = {
    server_rewrite = locate, rewrite = stages.access, access = stages.precontent, precontent = stages.content,
}
local WELL = { [OK] = true, [DECLINED] = true, [AGAIN] = true, [DONE] = true }

-- Go on after the application called ngx.exit(code) in one of the request's phases.
function _M.exit(r, code)
    abandon(r)
    if code == ERROR and r.parent then
        return answer(r, 500)
    elseif code == ERROR then
        return drop(r, r.status ~= 0 and r.status or 500)
    elseif SILENT[code] then
        return (r.parent and end_main or drop)(r, code)
    end
    if code >= 200 and not r.header_sent then
        if r.status == 0 then
            r.status = code
        end
        if code >= 300 or code == 204 then
            return answer(r, code)
        end
        return finish(r)
    end
    if code == DECLINED and r.stage == "content" and not r.header_sent then -- to the next handler; there is none
        return drop(r, 500)
    end
    local after = not r.header_sent and NEXT[r.stage]
    if after and (WELL[code] or r.stage == "access") then
        return after(r)
    end
    return finish(r)
end

-- Go on after ngx.exec: at a URI with args (nil: none), or at the named location "@name".
function _M.exec(r, target, args)
    abandon(r)
    if byte(target) == AT then
        local ok, code = redirects.to_name(r, target)
        return go_on_at(r, ok and "name", code)
    end
    local ok, code = redirects.to_uri(r, target, args)
    return go_on_at(r, ok and "uri", code)
end

-- Go on after the rewrite phase has changed the URI for a new search of the location.
function _M.jump(r)
    local counts = r.stage ~= "server_rewrite" -- there, no location was found yet
    abandon(r)
    r.ctx = nil
    if counts then
        local ok, code = redirects.jump(r)
        if not ok then
            return answer(r, code)
        end
    end
    return locate(r)
end

-- Go on after the body filter has returned ngx.ERROR: break the connection off.
function _M.break_off(r)
    abandon(r)
    return (r.parent and end_main or drop)(r, r.parent and ERROR or 500)
end

-- Go on after an error that no application code caught: 500, or an answer that ends before its end.
function _M.fail(r)
    local in_filter = r.phase == "header_filter" or r.phase == "body_filter"
    abandon(r)
    r.filter_exit = nil
    if r.stage == "log" then
        return over(r)
    end
    if r.header_sent and r.bytes_sent == 0 and not r.raw and not r.parent and not r.stream.owed then -- it is here
        r.out:reset()
        r.header_sent, r.ended, r.done, r.no_body = false, false, false, false
        r.body_bytes_sent = 0
    end
    if r.header_sent then
        r.truncated, r.keepalive = true, false
        output.flush(r)
        return log_phase(r)
    elseif in_filter then
        r.skip_body_filter = true
        r.phase = "header_filter" -- do not run the filter that failed once more
        r.error_page = true
    end
    return answer(r, 500)
end

-- End a subrequest whose parent is gone.
function _M.kill(r)
    light_threads.kill_all(r)
    if r.task then
        task.kill(r.task)
    end
    drop_upstream(r)
    return over(r)
end

return _M
