-- Owns the way of one request through the phases: the search of its location, rewrite, access, content or
-- proxy, log; each stage goes on with the next one. Which one a request is in stands in r.stage.
-- What leaves that way (ngx.exit, an error, …) comes in at server.http.handler.
local abort = require "server.http.abort"
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
local requests = require "server.http.request"

local find_location = location_match.find
local run_phase = phases.run

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
    if r.watching then
        abort.unwatch(r)
    end
    if r.python_id then
        require("server.python_plugins").forget(r)
    end
    if r.extras and r.extras.held then
        r.extras.held:drop()
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

-- Run the handler of a stage, and wait for the light threads that it left. Returns whether a response has
-- begun.
local function run_stage(r, name, run)
    r.stage, r.phase = name, name
    run()
    light_threads.join_all(r)
    r.phase = ""
    return r.header_sent or r.http10_buffered ~= nil
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
        run_stage(r, "content", location.content)
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
    local run = r.location.precontent
    if run and run_stage(r, "precontent", run) then
        return finish(r)
    end
    return content(r)
end

local function access(r)
    local run = r.location.access
    if run and not r.parent and run_stage(r, "access", run) then
        return finish(r) -- the access phase made the response itself
    end
    return precontent(r)
end

local function rewrite(r)
    local run = r.location.rewrite
    if run and run_stage(r, "rewrite", run) then
        return finish(r)
    end
    return access(r)
end

-- The location of r is known.
local function enter(r)
    local location = r.location
    r.settings, r.default_type = location.settings, location.content_type
    local limit, length = location.settings.client_max_body_size, r.content_length
    if length and limit > 0 and length > limit and not r.body_discarded and not r.parent then
        if not location.settings.delay_client_max_body_check then
            log.err("client intended to send too large body: ", length, " bytes")
            r.stage, r.body_discarded = "content", true
            return answer(r, 413)
        end
        requests.extras_of(r).oversized = true
    end
    if location.settings.check_client_abort and not r.parent then
        abort.watch(r)
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
        r.resp:set("location", "Location", location.path)
        r.moved_to = redirects.absolute(r, location.path)
        return answer(r, 301)
    end
    return enter(r)
end

-- r.location is that of the server as a whole.
local function server_rewrite(r)
    local run = r.location.server_rewrite
    if run and run_stage(r, "server_rewrite", run) then
        return finish(r)
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

_M.over, _M.log_phase, _M.finish, _M.answer, _M.go_on_at = over, log_phase, finish, answer, go_on_at
_M.content, _M.precontent, _M.access, _M.enter = content, precontent, access, enter
_M.locate, _M.server_rewrite = locate, server_rewrite

return _M
