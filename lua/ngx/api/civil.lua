-- Owns the Gregorian calendar in UTC: seconds since the epoch to the dates of HTTP and back
-- (nginx: ngx_gmtime, ngx_http_time, ngx_http_cookie_time, ngx_parse_http_time). No clock here.
local byte = string.byte
local floor = math.floor
local format = string.format
local match = string.match
local min = math.min
local sub = string.sub
local tonumber = tonumber

local DAY = 86400
local LAST = 253402300799 -- the last second of the year 9999
local MAX_TIME = 2 ^ 63
local WEEKDAYS = { [0] = "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local _M = {}

-- Days since the epoch <-> date, by counting years from March 1 of year 0, so that the leap day comes
-- last; 146097 days make 400 years, and five months from March on have 153 days.
local function days_to_date(days)
    days = days + 719468
    local era = floor(days / 146097)
    local of_era = days - era * 146097
    local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524)
        - floor(of_era / 146096)) / 365)
    local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
    local month = floor((5 * of_year + 2) / 153)
    local day = of_year - floor((153 * month + 2) / 5) + 1
    month = month < 10 and month + 3 or month - 9
    return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

local function date_to_days(year, month, day)
    if month <= 2 then
        year = year - 1
    end
    local era = floor(year / 400)
    local of_era = year - era * 400
    local from_march = month > 2 and month - 3 or month + 9
    local of_year = floor((153 * from_march + 2) / 5) + day - 1
    return era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
end

-- year, month, day, hour, minute, second, weekday. As in nginx, what is before the epoch, or does not
-- fit into 64 bits, is the epoch, and what is after the year 9999 its end.
local function fields(seconds)
    seconds = seconds > 0 and seconds < MAX_TIME and min(floor(seconds), LAST) or 0
    local days = floor(seconds / DAY)
    local rest = seconds - days * DAY
    local year, month, day = days_to_date(days)
    local hour = floor(rest / 3600)
    local minute = floor(rest / 60) % 60
    return year, month, day, hour, minute, rest % 60, (days + 4) % 7
end

-- "2010-11-18 11:27:35"
function _M.utc(seconds)
    local year, month, day, hour, minute, second = fields(seconds)
    return format("%04d-%02d-%02d %02d:%02d:%02d", year, month, day, hour, minute, second)
end

-- "Thu, 18 Nov 2010 11:27:35 GMT" (RFC 9110 IMF-fixdate)
function _M.http(seconds)
    local year, month, day, hour, minute, second, weekday = fields(seconds)
    return format("%s, %02d %s %4d %02d:%02d:%02d GMT", WEEKDAYS[weekday], day, MONTHS[month], year,
        hour, minute, second)
end

-- "Thu, 18-Nov-10 11:27:35 GMT"; nginx writes the whole year from 2038 on.
function _M.cookie(seconds)
    local year, month, day, hour, minute, second, weekday = fields(seconds)
    local shown = year > 2037 and format("%d", year) or format("%02d", year % 100)
    return format("%s, %02d-%s-%s %02d:%02d:%02d GMT", WEEKDAYS[weekday], day, MONTHS[month], shown,
        hour, minute, second)
end

local MONTH_BY_FIRST = { F = 2, S = 9, O = 10, N = 11, D = 12 }

-- nginx tells months apart by as few letters as it takes; so do we, to accept what it accepts.
local function month_of(name)
    local first, second, third = sub(name, 1, 1), sub(name, 2, 2), sub(name, 3, 3)
    if first == "J" then
        return second == "a" and 1 or third == "n" and 6 or 7
    elseif first == "M" then
        return third == "r" and 3 or 5
    elseif first == "A" then
        return second == "p" and 4 or 8
    end
    return MONTH_BY_FIRST[first]
end

local function valid_day(year, month, day)
    if day == 29 and month == 2 then
        return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    end
    return day <= MONTH_DAYS[month]
end

local TIME = " (%d%d):(%d%d):(%d%d)"
local IMF_DATE = "^(%d%d) (%u..) (%d%d%d%d)" .. TIME
local RFC850_DATE = "^(%d%d)%-(%u..)%-(%d%d)" .. TIME
local ASCTIME_DATE = "^(%u..)  ?(%d%d?)" .. TIME .. " (%d%d%d%d)"

local function split(rest, asctime)
    if asctime then
        local month, day, hour, minute, second, year = match(rest, ASCTIME_DATE)
        return day, month, year, hour, minute, second
    end
    local day, month, year, hour, minute, second = match(rest, IMF_DATE)
    if day then
        return day, month, year, hour, minute, second
    end
    day, month, year, hour, minute, second = match(rest, RFC850_DATE)
    if year then
        year = tonumber(year) < 70 and 2000 + year or 1900 + year
    end
    return day, month, year, hour, minute, second
end

-- Seconds since the epoch, or nil if str is no date of HTTP. The weekday is not looked at, and
-- neither is what follows the date.
function _M.parse(str)
    local at = match(str, "^[^, ]*()")
    local asctime = byte(str, at) == 32
    local day, month, year, hour, minute, second = split(match(str, "^ *(.*)", at + 1) or "", asctime)
    month = month and month_of(month)
    if not month then
        return nil
    end
    day, year = tonumber(day), tonumber(year)
    hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
    if hour > 23 or minute > 59 or second > 59 or not valid_day(year, month, day) then
        return nil
    end
    return ((date_to_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
end

return _M
