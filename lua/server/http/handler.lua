-- Owns the run of one request through the phases: rewrite, access, content or proxy, log; and where it
-- goes on after ngx.exit or an error. Which stage it is in stands in r.stage.
local clock = require "server.clock"
local cosocket = require "server.cosocket"
local light_threads = require "server.light_threads"
local location_match = require "server.http.location_match"
local log = require "server.log"
local output = require "server.http.output"
local phases = require "server.phases"
local proxy = require "server.http.proxy"
local redirects = require "server.http.redirects"
local request_body = require "server.http.request_body"
local servers = require "server.http.servers"
local task = require "server.task"

local choose, find_location = servers.choose, location_match.find
local run_phase = phases.run

local byte = string.byte
local AT = 64
local OK, ERROR, DECLINED, AGAIN, DONE = 0, -1, -5, -2, -4

local _M = {}

-- Nothing of r runs any more: what it still holds goes.
local function over(r)
    r.stage = ""
    if r.sockets then
        cosocket.close_all(r)
    end
    if r.body_file or r.body_draft then
        request_body.release(r)
    end
    if r.processes then
        require("ngx.pipe").destroy_all(r)
    end
    if r.python_id then
        require("server.python_plugins").forget(r)
    end
end

local function log_phase(r)
    light_threads.kill_all(r)
    r.stage = "log"
    r.end_time = clock.now()
    if not r.parent or r.settings.log_subrequest then
        run_phase(r, "log")
    end
    return over(r)
end

local function finish(r)
    if not r.aborted and not r.truncated then
        output.finish(r)
    end
    return log_phase(r)
end

local go_on_at

-- Answer with a status and the page that belongs to it: the application's own, or the server's.
-- detail: replaces the title on the latter, or nil.
local function answer(r, code, detail)
    if r.parent then
        output.end_subrequest(r, code)
    elseif r.location.error_pages and redirects.has_page(r, code) then
        return go_on_at(r, redirects.to_page(r, code))
    else
        output.send_page(r, code, detail)
    end
    return log_phase(r)
end

local function content(r)
    r.stage = "content"
    local location = r.location
    if r.uri == "*" then
        return answer(r, r.method == "OPTIONS" and 204 or 400)
    elseif location.content then
        run_phase(r, "content")
        light_threads.join_all(r)
        return finish(r)
    elseif location.balancer then
        local code = proxy.run(r)
        if code then
            return answer(r, code)
        end
        return log_phase(r)
    end
    return answer(r, 404)
end

local function precontent(r)
    if r.location.precontent then
        r.stage = "precontent"
        run_phase(r, "precontent")
        light_threads.join_all(r)
        if r.header_sent then
            return finish(r)
        end
    end
    return content(r)
end

local function access(r)
    if r.location.access and not r.parent then
        r.stage = "access"
        run_phase(r, "access")
        light_threads.join_all(r)
        if r.header_sent then -- the access phase made the response itself
            return finish(r)
        end
    end
    return precontent(r)
end

local function rewrite(r)
    if r.location.rewrite then
        r.stage = "rewrite"
        run_phase(r, "rewrite")
        light_threads.join_all(r)
        if r.header_sent then
            return finish(r)
        end
    end
    return access(r)
end

-- The location of r is known.
local function enter(r)
    local location = r.location
    r.settings, r.default_type = location.settings, location.default_type
    local limit, length = location.settings.client_max_body_size, r.content_length
    if length and limit > 0 and length > limit and not r.parent then
        log.err("client intended to send too large body: ", length, " bytes")
        r.stage = "content"
        return answer(r, 413)
    end
    return rewrite(r)
end

local function locate(r)
    local location, _, lacks_slash = find_location(r.server.level, r.uri, r)
    r.location = location or r.server.unmatched
    if location and location.internal and not r.internal then
        r.stage = "content"
        return answer(r, 404)
    elseif lacks_slash then
        r.stage = "content"
        r.resp:set("location", "Location", redirects.absolute(r, location.path))
        return answer(r, 301)
    end
    return enter(r)
end

-- r.location is that of the server as a whole.
local function server_rewrite(r)
    if r.location.server_rewrite then
        r.stage = "server_rewrite"
        run_phase(r, "server_rewrite")
        light_threads.join_all(r)
        if r.header_sent then
            return finish(r)
        end
    end
    return locate(r)
end

-- Go on where a redirect led to: "uri", "name", "answer" with a status; nil with one: it failed.
function go_on_at(r, where, code)
    if where == "uri" then
        return server_rewrite(r)
    elseif where == "name" then
        return enter(r)
    end
    return answer(r, code)
end

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
    if code == 408 then
        r.status = 408
        r.aborted = true
    else
        output.send_page(r, code, detail)
    end
    return log_phase(r)
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
    r.stream.on_hangup = nil
end

-- The codes that end a request without a word (ngx_http_finalize_request); ERROR does too.
local SILENT = { [408] = true, [444] = true, [499] = true }

-- End the whole request that r belongs to, once what runs now has waited.
local function end_main(r, code)
    local main = r.main
    light_threads.kill_all(main)
    task.kill(main.task)
    return task.later(function()
        return main:restart(_M.exit, code)
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
local NEXT = { server_rewrite = locate, rewrite = access, access = precontent, precontent = content }
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
        if code >= 300 or code == 204 then
            r.status = code
            return answer(r, code)
        elseif r.status == 0 then
            r.status = code
        end
        return finish(r)
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
    if counts then
        local ok, code = redirects.jump(r)
        if not ok then
            return answer(r, code)
        end
    end
    return locate(r)
end

-- Go on after an error that no application code caught: 500, or an answer that ends before its end.
function _M.fail(r)
    local in_filter = r.phase == "header_filter" or r.phase == "body_filter"
    abandon(r)
    r.filter_exit = nil
    if r.stage == "log" then
        return over(r)
    end
    if r.header_sent and r.bytes_sent == 0 and not r.raw and not r.parent then -- all of it is still here
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
