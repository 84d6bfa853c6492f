-- Owns what pieces of a response's body go through before they are framed: the application's body filter, and gzip.
local exit_request = require "server.exit"
local phases = require "server.phases"

local run_phase = phases.run

local ERROR = -1 -- ngx.ERROR

local _M = {}

local function filter_by_lua(r, chunk, last)
    r.arg1, r.arg2 = chunk, last
    if run_phase(r, "body_filter") == ERROR then
        return exit_request(ERROR, require("server.http.handler").break_off)
    elseif last then
        r.end_hidden = not r.arg2
    elseif r.arg2 then
        r.ended = "by the filter" -- it cut the body here; the application does not notice
    end
    return r.arg1
end

-- What goes out for a piece of the body (a string): what the application and then gzip make of it. last: nothing
-- follows it. r.ended may be set then: nothing is to follow.
function _M.run(r, chunk, last)
    local extras = r.extras
    if not extras or not extras.encoder then
        return filter_by_lua(r, chunk, last)
    elseif r.location.body_filter and not r.skip_body_filter then
        chunk = filter_by_lua(r, chunk, last)
    end
    return extras.encoder:put(chunk, last or r.ended)
end

return _M
