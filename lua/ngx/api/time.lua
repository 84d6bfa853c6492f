-- Owns ngx.now, ngx.time, ngx.today … ngx.parse_http_time. All of it reads the cached clock of the
-- hub; nothing here may ask the system for the time.
local civil = require "ngx.api.civil"
local clock = require "server.clock"

local error = error
local floor = math.floor
local now = clock.now
local os_date = os.date
local type = type

-- ngx.time() -> whole seconds of the cached time.
local function time()
    return floor(now())
end

-- A date in local time; the last answer is kept, since most calls fall into the same second.
local function local_date(format)
    local last, text
    return function()
        local second = time()
        if second ~= last then
            last, text = second, os_date(format, second)
        end
        return text
    end
end

-- ngx.utctime() -> "yyyy-mm-dd hh:mm:ss"
local function utctime()
    return civil.utc(time())
end

local function check_number(seconds)
    if type(seconds) ~= "number" then
        error("number argument only", 3)
    end
end

-- ngx.http_time(sec) -> "Thu, 18 Nov 2010 11:27:35 GMT"
local function http_time(seconds)
    check_number(seconds)
    return civil.http(seconds)
end

-- ngx.cookie_time(sec) -> "Thu, 18-Nov-10 11:27:35 GMT"; four digits of the year after 2037.
local function cookie_time(seconds)
    check_number(seconds)
    return civil.cookie(seconds)
end

-- ngx.parse_http_time(str) -> seconds, or nil. Takes RFC 822, RFC 850 and asctime dates.
local function parse_http_time(str)
    if type(str) ~= "string" then
        error("string argument only", 2)
    end
    return civil.parse(str)
end

return {
    now = now,
    time = time,
    update_time = clock.update,
    today = local_date("%Y-%m-%d"),
    localtime = local_date("%Y-%m-%d %H:%M:%S"),
    utctime = utctime,
    http_time = http_time,
    cookie_time = cookie_time,
    parse_http_time = parse_http_time,
}
