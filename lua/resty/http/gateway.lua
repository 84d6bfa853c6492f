-- Owns what of resty.http stands between a client of this server and another: reading the client's body, passing its
-- request on and the response back. Source: the documentation of lua-resty-http. Must never open a connection.
local body_io = require "resty.http.body"
local head = require "resty.http.head"

local ngx = ngx
local ngx_log, ERR, DEBUG = ngx.log, ngx.ERR, ngx.DEBUG
local gsub, lower = string.gsub, string.lower
local pairs, pcall, tonumber = pairs, pcall, tonumber

local CHUNK = 65536

-- Fields of one connection (RFC 9110, section 7.6.1); the length is of this server's making.
local OF_THE_CONNECTION = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
    ["te"] = true, ["trailers"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true,
}

local _M = {}

-- A reader (see resty.http.body) of the body of the running request. chunksize: default size of pieces in bytes;
-- sock: of ngx.req.socket. Returns it, nil when there is no body, or nil and an error text.
function _M.get_client_body_reader(_, chunksize, sock)
    chunksize = chunksize or CHUNK
    if not sock then
        local ok, err
        ok, sock, err = pcall(ngx.req.socket)
        if not ok then
            return nil, sock
        elseif not sock then
            return nil, err ~= "no body" and err or nil
        end
    end
    local headers = ngx.req.get_headers()
    local length = headers["Content-Length"]
    if length then
        return body_io.reader(sock, tonumber(length), chunksize)
    elseif head.is_chunked(headers) then
        return body_io.chunked_reader(sock, chunksize)
    end
    return nil
end

-- Send the running request to where the client is connected. Returns as request.
function _M.proxy_request(self, chunksize)
    ngx_log(DEBUG, "Use of deprecated function `proxy_request`")
    local var = ngx.var
    return self:request({
        method = ngx.req.get_method(),
        path = gsub(var.uri, "%s", "%%20") .. var.is_args .. (var.query_string or ""),
        body = self:get_client_body_reader(chunksize),
        headers = ngx.req.get_headers(),
    })
end

local function print_body(reader, chunksize)
    repeat
        local chunk, err = reader(chunksize)
        if err then
            ngx_log(ERR, err)
        end
        if chunk then
            local ok
            ok, err = ngx.print(chunk)
            if not ok then
                ngx_log(ERR, err)
                return
            end
        end
    until not chunk
end

-- Answer the running request with a response of the client. chunksize: bytes of a piece.
function _M.proxy_response(_, response, chunksize)
    ngx_log(DEBUG, "Use of deprecated function `proxy_response`")
    if not response then
        ngx_log(ERR, "no response provided")
        return
    end
    ngx.status = response.status
    for name, value in pairs(response.headers) do
        if not OF_THE_CONNECTION[lower(name)] then
            ngx.header[name] = value
        end
    end
    print_body(response.body_reader, chunksize)
end

return _M
