-- Owns the making and changing of the response to the client. Mirrors apisix.core.response.
local encode_json = require("cjson.safe").encode
local ngx_resp = require "ngx.resp"

local ngx = ngx
local arg = ngx.arg
local concat = table.concat
local error = error
local gmatch = string.gmatch
local ngx_header = ngx.header
local pairs = pairs
local select = select
local sub = string.sub
local tonumber = tonumber
local type = type

local _M = { version = 0.1 }

-- Has func(code, body, headers, conf) -> code, body, headers change what exit() answers, for this request.
-- body is what exit() was given: text or table. Functions run in the order of insertion.
function _M.exit_insert_callback(func, conf)
    local ctx = ngx.ctx
    local callbacks = ctx.apisix_exit_callback_funcs
    if not callbacks then
        callbacks = {}
        ctx.apisix_exit_callback_funcs = callbacks
    end
    local count = #callbacks
    callbacks[count + 1], callbacks[count + 2] = func, conf or false
end

local function encode(body)
    local text, err = encode_json(body)
    if not text then
        error("failed to encode data: " .. err, 0)
    end
    return text
end

-- Appends one piece of a body: a table as a line of JSON, a text as it is.
local function add_piece(out, piece)
    if type(piece) == "table" then
        out[#out + 1] = encode(piece)
        out[#out + 1] = "\n"
    elseif piece ~= nil then
        out[#out + 1] = piece
    end
end

local function first_present(...)
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        if value ~= nil then
            return value
        end
    end
    return nil
end

local function transform(callbacks, code, body)
    local headers = {}
    for i = 1, #callbacks, 2 do
        code, body, headers = callbacks[i](code, body, headers, callbacks[i + 1] or nil)
    end
    for name, value in pairs(headers or {}) do
        ngx_header[name] = value
    end
    return code, body
end

-- Sets the status and ends the phase.
local function finish(code)
    local ctx = ngx.ctx.api_ctx
    if ctx and not ctx._resp_source then
        ctx._resp_source = "apisix"
    end
    return ngx.exit(code)
end

-- code: status, or nil (or absent) to go on after printing. Then texts, printed as they are, and tables,
-- printed as JSON lines. Raises if a table cannot be JSON.
function _M.exit(code, ...)
    local head
    if code and type(code) ~= "number" then
        code, head = nil, code
    end

    local out = { head }
    local callbacks = ngx.ctx.apisix_exit_callback_funcs
    if callbacks then
        local body = first_present(...)
        if body == nil then
            body = head
        end
        code, body = transform(callbacks, code, body)
        out = {}
        add_piece(out, body)
    else
        for i = 1, select("#", ...) do
            add_piece(out, (select(i, ...)))
        end
    end

    if code then
        ngx.status = code
    end
    if #out > 0 then
        ngx.print(out) -- once, so that body filters see one chunk
    end
    if code then
        return finish(code)
    end
end

-- Prints texts and tables as exit() does, and goes on.
function _M.say(...)
    _M.exit(nil, ...)
end

local function write_header(append, name, value)
    if append then
        ngx_resp.add_header(name, value)
    else
        ngx_header[name] = value
    end
end

local function write_headers(append, ...)
    if ngx.headers_sent then
        error("headers have already been sent", 3)
    end
    local count = select("#", ...)
    local only = ...
    if count == 1 and type(only) == "table" then
        for name, value in pairs(only) do
            write_header(append, name, value)
        end
    elseif count == 1 then
        ngx_header[only] = nil
    else
        for i = 1, count, 2 do
            local name, value = select(i, ...)
            write_header(append, name, value)
        end
    end
end

-- set_header(name, value, name, value, …), set_header({name = value, …}); a name alone, or a value nil,
-- removes. Raises once the headers are sent.
function _M.set_header(...)
    write_headers(false, ...)
end

-- As set_header(), beside headers of the same name.
function _M.add_header(...)
    write_headers(true, ...)
end

-- The status of the last upstream that was tried, or nil.
function _M.get_upstream_status(ctx)
    return tonumber(sub(ctx.var.upstream_status or "", -3))
end

-- For plugins that make the response without the proxy: says where it comes from, before exit() does.
function _M.set_response_source(ctx, source)
    if ctx then
        ctx._resp_source = source
    end
end

-- "-, 0.002" -> "0.002": the last entry of a variable that has one for each upstream tried; or nil.
function _M.get_last_upstream_token(text)
    local last
    for token in gmatch(text or "", "[^%s,]+") do
        last = token
    end
    return last
end

-- Who made the response: "apisix" (a plugin, or no route), "upstream", or "nginx" (the proxy, for an upstream
-- that did not answer).
function _M.get_response_source(ctx)
    if not ctx then
        return "apisix"
    end
    if ctx._resp_source then
        return ctx._resp_source
    end
    if not ctx._apisix_proxied then
        return "apisix"
    end
    local header_time = _M.get_last_upstream_token(ngx.var.upstream_header_time)
    ctx._resp_source = header_time and header_time ~= "-" and "upstream" or "nginx"
    return ctx._resp_source
end

-- Drops the headers that tell of the body's length, encoding and version, as it will be another one.
function _M.clear_header_as_body_modified()
    ngx_header.content_length = nil
    ngx_header.content_encoding = nil
    ngx_header.last_modified = nil
    ngx_header.etag = nil
end

-- Adds chunk to the buffer. Returns the body, cut to max_bytes, once that much has come.
local function collect(buffers, key, chunk, max_bytes)
    local buffer = buffers[key]
    if not buffer then
        buffer = { n = 0, bytes = 0 }
        buffers[key] = buffer
    end
    buffer.n = buffer.n + 1
    buffer[buffer.n] = chunk
    buffer.bytes = buffer.bytes + #chunk
    if max_bytes and buffer.bytes >= max_bytes then
        buffer.done = true
        return sub(concat(buffer, "", 1, buffer.n), 1, max_bytes)
    end
    return nil
end

local function take(buffers, key, chunk)
    local buffer = buffers[key]
    if not buffer then
        return chunk
    end
    buffers[key] = nil
    return concat(buffer, "", 1, buffer.n)
end

-- In body_filter: collects the chunks and returns the whole body at the last one, else nil. The chunks
-- are held back from the client unless hold_the_copy. max_resp_body_bytes: the body is returned, cut, as soon
-- as that much has come, and nil from then on. body_buffer_key: default the running plugin's name.
function _M.hold_body_chunk(ctx, hold_the_copy, max_resp_body_bytes, body_buffer_key)
    local chunk, eof = arg[1], arg[2]
    local key = body_buffer_key or ctx._plugin_name
    local buffers = ctx._body_buffer
    if not buffers then
        buffers = {}
        ctx._body_buffer = buffers
    end
    if buffers[key] and buffers[key].done then
        return nil
    end

    if type(chunk) == "string" and chunk ~= "" then
        local body = collect(buffers, key, chunk, max_resp_body_bytes)
        if body then
            return body
        end
    end
    if eof then
        return take(buffers, key, chunk)
    end
    if not hold_the_copy then
        arg[1] = nil
    end
    return nil
end

return _M
