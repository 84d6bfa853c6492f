-- Owns the part of ngx.req that is about the request's body. Source: the ngx_lua documentation.
local argcheck = require "server.argcheck"
local check_maker = require("server.restrictions").check_maker
local exit_request = require "server.exit"
local log = require "server.log"
local querystring = require "ngx.api.querystring"
local request_body = require "server.http.request_body"
local running = require "ngx.api.running"

local error, select, tonumber, tostring, type = error, select, tonumber, tostring, type
local floor = math.floor
local sub = string.sub

local _M = {}

-- Raise unless `count` is one of the counts of arguments that a function takes.
local function expect(count, least, most, words)
    if count < least or count > most then
        error("expecting " .. words .. " but seen " .. count, 3)
    end
end

local function bad_argument(n, expected, value)
    argcheck.fail(2, n, expected .. " expected, got " .. type(value))
end

-- A string argument, which may be given as a number.
local function is_text(value)
    local kind = type(value)
    return kind == "string" or kind == "number"
end

-- The status that a request ends with whose body could not be read.
local STATUS = {
    ["too large"] = 413, ["timeout"] = 408, ["invalid chunk"] = 400, ["closed"] = 400,
}

-- Waits for the whole body; ends the request when it does not come.
function _M.read_body(...)
    expect(select("#", ...), 0, 0, "0 arguments")
    check_maker(2)
    local r = running(2)
    local ok, err = request_body.read(r)
    if ok then
        return
    end
    r.keepalive = false
    if err == "too large" then
        log.err("client intended to send too large body")
    end
    return exit_request(STATUS[err] or 500)
end

-- The body, or nil when there is none, it lies in a file or was not read. max: bytes at most.
function _M.get_body_data(...)
    local count = select("#", ...)
    expect(count, 0, 1, "0 or 1 arguments")
    local max = count == 1 and tonumber((...)) or 0
    if count == 1 and not tonumber((...)) then
        bad_argument(1, "number", (...))
    end
    local r = running(2)
    local data = r.body_data
    local draft = r.body_draft
    if draft and draft.by_application then
        data = draft:data()
    end
    if not data or data == "" then
        return nil
    end
    return max > 0 and #data > max and sub(data, 1, max) or data
end

-- The path of the file that the body lies in, or nil.
function _M.get_body_file(...)
    expect(select("#", ...), 0, 0, "0 arguments")
    local r = running(2)
    local draft = r.body_draft
    local file = r.body_file or draft and draft.by_application and draft.file
    return file and file.path or nil
end

function _M.discard_body(...)
    expect(select("#", ...), 0, 0, "0 arguments")
    return request_body.forget(running(2))
end

-- The running request, whose body may be replaced now.
local function replaceable()
    local r = running(3)
    if r.body_discarded then
        error("request body already discarded asynchronously", 3)
    elseif not r.body_read then
        error("request body not read yet", 3)
    end
    return r
end

function _M.set_body_data(...)
    expect(select("#", ...), 1, 1, "1 arguments")
    local data = ...
    if not is_text(data) then
        bad_argument(1, "string", data)
    end
    request_body.set_data(replaceable(), tostring(data))
end

-- auto_clean: remove the file when the request is over.
function _M.set_body_file(...)
    local count = select("#", ...)
    expect(count, 1, 2, "1 or 2 arguments")
    local path, auto_clean = ...
    if not is_text(path) then
        bad_argument(1, "string", path)
    end
    local r = replaceable()
    if count == 2 and type(auto_clean) ~= "boolean" then
        bad_argument(2, "boolean", auto_clean)
    end
    local ok, err = request_body.set_file(r, tostring(path), auto_clean or false)
    if not ok then
        error(err, 2)
    end
end

-- Begin a new body. size: bytes of it that are held in memory; 0: it goes into a file at once.
function _M.init_body(...)
    local count = select("#", ...)
    expect(count, 0, 1, "0 or 1 argument")
    local r = replaceable()
    local size = tonumber((...))
    if count == 1 and not size then
        bad_argument(1, "number", (...))
    end
    size = size and floor(size)
    if size and size < 0 then
        error("bad size argument: " .. size, 2)
    end
    return request_body.init(r, size)
end

-- The draft that init_body() began.
local function draft_of(r)
    local draft = r.body_draft
    if not draft or not draft.by_application then
        error("request_body not initialized", 3)
    end
    return draft
end

function _M.append_body(...)
    expect(select("#", ...), 1, 1, "1 arguments")
    local data = ...
    if not is_text(data) then
        bad_argument(1, "string", data)
    end
    if not draft_of(running(2)):append(tostring(data)) then
        error("fail to write file", 2)
    end
end

function _M.finish_body(...)
    expect(select("#", ...), 0, 0, "0 argument")
    local r = running(2)
    draft_of(r)
    if not request_body.finish(r) then
        error("fail to write file", 2)
    end
end

-- The arguments of an urlencoded body (see ngx.decode_args); nil and why not when it lies in a file.
function _M.get_post_args(...)
    local count = select("#", ...)
    expect(count, 0, 1, "0 or 1 arguments")
    local max = querystring.MAX_ARGS
    if count == 1 then
        max = tonumber((...))
        if not max then
            bad_argument(1, "number", (...))
        end
    end
    local r = running(2)
    if r.body_discarded then
        return {}
    elseif not r.body_read then
        error("no request body found; maybe you should turn on lua_need_request_body?", 2)
    elseif r.body_file then
        return nil, "request body in temp file not supported"
    end
    return querystring.decode(r.body_data or "", floor(max))
end

return _M
