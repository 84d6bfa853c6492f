-- Owns the status codes: their reason phrases and the pages that stand in for a missing body.
local _M = {}

local REASONS = {
    [100] = "Continue", [101] = "Switching Protocols",
    [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content", [206] = "Partial Content",
    [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Moved Temporarily", [303] = "See Other",
    [304] = "Not Modified", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
    [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden",
    [404] = "Not Found", [405] = "Not Allowed", [406] = "Not Acceptable", [408] = "Request Time-out",
    [409] = "Conflict", [410] = "Gone", [411] = "Length Required", [412] = "Precondition Failed",
    [413] = "Request Entity Too Large", [414] = "Request-URI Too Large", [415] = "Unsupported Media Type",
    [416] = "Requested Range Not Satisfiable", [417] = "Expectation Failed", [421] = "Misdirected Request",
    [426] = "Upgrade Required", [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
    [503] = "Service Temporarily Unavailable", [504] = "Gateway Time-out",
    [505] = "HTTP Version Not Supported", [507] = "Insufficient Storage",
}

local lines = {}

-- "HTTP/1.1 200 OK\r\n"; an unknown code has no reason phrase.
function _M.line(code)
    local line = lines[code]
    if not line then
        local reason = REASONS[code]
        line = "HTTP/1.1 " .. code .. (reason and (" " .. reason) or " ") .. "\r\n"
        if code >= 100 and code <= 999 then
            lines[code] = line
        end
    end
    return line
end

-- Statuses that have a page, as in nginx, by the title on it where that is not the reason phrase.
local PAGES = { [302] = "Found", [401] = "Authorization Required" }
for _, range in ipairs({ { 301, 303 }, { 307, 308 }, { 400, 406 }, { 408, 416 }, { 421, 421 }, { 429, 429 },
    { 500, 505 }, { 507, 507 } }) do
    for code = range[1], range[2] do
        PAGES[code] = PAGES[code] or REASONS[code]
    end
end

-- The page for an error (or redirect) without a body of its own, "" when there is none. detail: replaces
-- its title, or nil.
function _M.page(code, detail)
    local title = detail or PAGES[code]
    if not title then
        return ""
    end
    title = code .. " " .. title
    return "<html>\r\n<head><title>" .. title .. "</title></head>\r\n<body>\r\n<center><h1>" .. title
        .. "</h1></center>\r\n<hr><center>pygw</center>\r\n</body>\r\n</html>\r\n"
end

-- May a response with this status, to this method, have a body?
function _M.has_body(code, method)
    return not (method == "HEAD" or code == 204 or code == 304 or code < 200)
end

return _M
