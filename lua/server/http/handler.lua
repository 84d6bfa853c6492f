-- Owns the run of one request through the phases: rewrite, access, content or proxy, log; and where it
-- goes on after ngx.exit or an error. Which stage it is in stands in r.stage.
local clock = require "server.clock"
local cosocket = require "server.cosocket"
local light_threads = require "server.light_threads"
local output = require "server.http.output"
local phases = require "server.phases"
local proxy = require "server.http.proxy"
local request_body = require "server.http.request_body"
local task = require "server.task"

local run_phase = phases.run

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
    run_phase(r, "log")
    return over(r)
end

local function finish(r)
    if not r.aborted and not r.truncated then
        output.finish(r)
    end
    return log_phase(r)
end

local function content(r)
    r.stage = "content"
    if r.uri == "*" then
        output.send_page(r, r.method == "OPTIONS" and 204 or 400)
    elseif phases.app.content then
        run_phase(r, "content")
        light_threads.join_all(r)
    elseif phases.app.balancer then
        proxy.run(r)
        return log_phase(r)
    else
        output.send_page(r, 404)
    end
    return finish(r)
end

local function access(r)
    r.stage = "access"
    if phases.app.access then
        run_phase(r, "access")
        light_threads.join_all(r)
        if r.header_sent then -- the access phase made the response itself
            return finish(r)
        end
    end
    return content(r)
end

-- Run a request whose head has been read.
function _M.run(r)
    local app = phases.app
    r.stage = "rewrite"
    if app.rewrite then
        run_phase(r, "rewrite")
        light_threads.join_all(r)
        if r.header_sent then
            return finish(r)
        end
    end
    return access(r)
end

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

local function drop(r, code)
    if not r.header_sent then
        r.status = code
    end
    r.aborted, r.keepalive = true, false
    return log_phase(r)
end

-- Go on after the application called ngx.exit(code) in one of the request's phases.
function _M.exit(r, code)
    light_threads.kill_all(r)
    drop_upstream(r)
    local stage = r.stage
    r.phase = stage
    if code == ERROR or SILENT[code] then
        return drop(r, code == ERROR and (r.status ~= 0 and r.status or 500) or code)
    end
    if code >= 200 and not r.header_sent then
        if code >= 300 or code == 204 then
            output.send_page(r, code)
        elseif r.status == 0 then
            r.status = code
        end
        return finish(r)
    end
    if r.header_sent or stage == "content" then
        return finish(r)
    end
    if stage == "rewrite" and (code == OK or code == DECLINED or code == AGAIN or code == DONE) then
        return access(r)
    elseif stage == "access" then
        return content(r)
    end
    return finish(r)
end

-- Go on after an error that no application code caught: 500, or an answer that ends before its end.
function _M.fail(r)
    light_threads.kill_all(r)
    drop_upstream(r)
    r.filter_exit = nil
    if r.stage == "log" then
        return over(r)
    end
    if r.phase == "header_filter" or r.phase == "body_filter" then
        r.skip_body_filter = true
        r.phase = "header_filter" -- do not run the filter that failed once more
    else
        r.phase = r.stage
    end
    if r.header_sent and r.bytes_sent == 0 then -- all of it is still here
        r.out:reset()
        r.header_sent, r.ended, r.done, r.no_body = false, false, false, false
        r.body_bytes_sent = 0
    end
    if r.header_sent then
        r.truncated, r.keepalive = true, false
        output.flush(r)
    else
        output.send_page(r, 500)
    end
    return log_phase(r)
end

return _M
