-- Owns DNS messages: making a query, taking a reply apart. Must never touch a socket, nor read past a message's end.
-- Source: RFC 1035, 2782 (SRV), 3596 (AAAA), 4408 (SPF); names of the fields as in lua-resty-dns.
local bit = require "bit"

local band, rshift = bit.band, bit.rshift
local byte, char, format, sub = string.byte, string.char, string.format, string.sub
local concat = table.concat
local gmatch, find = string.gmatch, string.find

local _M = {
    TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16,
    TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_SPF = 99,
    CLASS_IN = 1,
    SECTION_AN = 1, SECTION_NS = 2, SECTION_AR = 3,
}

local HEADER = 12
local MAX_LABEL, MAX_POINTERS = 63, 128
local RESPONSE, TRUNCATED, RCODE = 0x8000, 0x200, 0xf
local RECURSION_DESIRED, NO_FLAGS = "\1\0", "\0\0"
local ONE_QUESTION = "\0\1\0\0\0\0\0\0"
local ERRORS = { "format error", "server failure", "name error", "not implemented", "refused" }

local function uint16(value)
    return char(rshift(value, 8), band(value, 255))
end

-- The unsigned number in the two bytes at pos, or nil past the end.
local function read16(text, pos)
    local high, low = byte(text, pos, pos + 1)
    return low and high * 256 + low
end

local function read32(text, pos)
    local a, b, c, d = byte(text, pos, pos + 3)
    return d and ((a * 256 + b) * 256 + c) * 256 + d
end

-- A domain name as a message has it, or nil when it is none.
local function encode_name(name)
    if find(name, "..", 1, true) or byte(name, 1) == 46 then
        return nil
    end
    local labels = {}
    for label in gmatch(name, "[^.]+") do
        if #label > MAX_LABEL then
            return nil
        end
        labels[#labels + 1] = char(#label) .. label
    end
    return concat(labels) .. "\0"
end

-- The message that asks for records of that type of that name. id: 0..65535. Returns it, or nil and "bad name".
function _M.query(name, qtype, id, no_recurse)
    local encoded = encode_name(name)
    if not encoded then
        return nil, "bad name"
    end
    return concat({
        uint16(id), no_recurse and NO_FLAGS or RECURSION_DESIRED, ONE_QUESTION, encoded, uint16(qtype),
        uint16(_M.CLASS_IN),
    })
end

-- The domain name at pos. Returns it and the place behind it, or nil and why not.
local function read_name(text, pos)
    local labels, pointers, after = {}, 0, nil
    while true do
        local length = byte(text, pos)
        if not length then
            return nil, "truncated"
        elseif length == 0 then
            return concat(labels, "."), after or pos + 1
        elseif length >= 0xc0 then
            local low = byte(text, pos + 1)
            pointers = pointers + 1
            if not low or pointers > MAX_POINTERS then
                return nil, "truncated"
            end
            after = after or pos + 2
            pos = band(length, 0x3f) * 256 + low + 1
        elseif pos + length > #text then
            return nil, "truncated"
        else
            labels[#labels + 1] = sub(text, pos + 1, pos + length)
            pos = pos + length + 1
        end
    end
end

-- A decoder of record data: decode(record, text, pos, length) sets fields of record; returns an error text or nil.
local decoders = {}

decoders[_M.TYPE_A] = function(record, text, pos, length)
    if length ~= 4 then
        return "bad A record value length: " .. length
    end
    record.address = concat({ byte(text, pos, pos + 3) }, ".")
end

decoders[_M.TYPE_AAAA] = function(record, text, pos, length)
    if length ~= 16 then
        return "bad AAAA record value length: " .. length
    end
    local groups = {}
    for i = 0, 7 do
        groups[i + 1] = format("%x", read16(text, pos + i * 2))
    end
    record.address = concat(groups, ":")
end

-- The name at pos is to fill what is left of the record. what: the type in the error text.
local function read_last_name(text, pos, start, length, what)
    local name, after = read_name(text, pos)
    if not name then
        return nil, after
    elseif after - start ~= length then
        return nil, format("bad %s record length: %d ~= %d", what, after - start, length)
    end
    return name
end

local function named(field)
    return function(record, text, pos, length)
        local err
        record[field], err = read_last_name(text, pos, pos, length, "cname")
        return err
    end
end

decoders[_M.TYPE_CNAME] = named("cname")
decoders[_M.TYPE_NS] = named("nsdname")
decoders[_M.TYPE_PTR] = named("ptrdname")

decoders[_M.TYPE_MX] = function(record, text, pos, length)
    if length < 3 then
        return "bad MX record value length: " .. length
    end
    local err
    record.preference = read16(text, pos)
    record.exchange, err = read_last_name(text, pos + 2, pos, length, "cname")
    return err
end

decoders[_M.TYPE_SRV] = function(record, text, pos, length)
    if length < 7 then
        return "bad SRV record value length: " .. length
    end
    local err
    record.priority, record.weight, record.port = read16(text, pos), read16(text, pos + 2), read16(text, pos + 4)
    record.target, err = read_last_name(text, pos + 6, pos, length, "srv")
    return err
end

-- The character strings of a TXT record: one as a string, several as an array. What overruns is cut.
local function strings(text, pos, length)
    local last = pos + length
    local found = {}
    while pos < last do
        local size = byte(text, pos)
        if pos + size >= last then
            size = last - pos - 1
        end
        found[#found + 1] = sub(text, pos + 1, pos + size)
        pos = pos + size + 1
    end
    return found[2] and found or found[1] or ""
end

decoders[_M.TYPE_TXT] = function(record, text, pos, length)
    record.txt = strings(text, pos, length)
end

decoders[_M.TYPE_SPF] = function(record, text, pos, length)
    record.spf = strings(text, pos, length)
end

local SOA_NUMBERS = { "serial", "refresh", "retry", "expire", "minimum" }

decoders[_M.TYPE_SOA] = function(record, text, pos)
    local name, after = read_name(text, pos)
    if not name then
        return after
    end
    record.mname = name
    name, after = read_name(text, after)
    if not name then
        return after
    end
    record.rname = name
    for i, field in ipairs(SOA_NUMBERS) do
        record[field] = read32(text, after + (i - 1) * 4)
        if not record[field] then
            return "truncated"
        end
    end
end

-- The record at pos, of that section. Returns it and the place behind it, or nil and why not.
local function read_record(text, pos, section)
    local name, after = read_name(text, pos)
    if not name then
        return nil, after
    end
    local length = read16(text, after + 8)
    if not length or after + 9 + length > #text then
        return nil, "truncated"
    end
    local record = {
        section = section, name = name,
        type = read16(text, after), class = read16(text, after + 2), ttl = read32(text, after + 4),
    }
    local start = after + 10
    local decode = decoders[record.type]
    if not decode then
        record.rdata = sub(text, start, start + length - 1)
        return record, start + length
    end
    local err = decode(record, text, start, length)
    if err then
        return nil, err
    end
    return record, start + length
end

-- Read count records into answers (or nowhere, where that is nil). Returns the place behind them, or nil and an error.
local function read_section(answers, text, pos, count, section)
    for _ = 1, count do
        local record, after = read_record(text, pos, section)
        if not record then
            return nil, after
        elseif answers then
            answers[#answers + 1] = record
        end
        pos = after
    end
    return pos
end

-- Check the header and the question. Returns the place behind them, or nil and why the message is no reply to the
-- query `id`.
local function read_question(text, id)
    if #text < HEADER then
        return nil, "truncated"
    elseif read16(text, 1) ~= id then
        return nil, "id mismatch"
    end
    local flags, questions = read16(text, 3), read16(text, 5)
    if band(flags, RESPONSE) == 0 then
        return nil, "bad QR flag in the DNS response"
    elseif band(flags, TRUNCATED) ~= 0 then
        return nil, "truncated"
    elseif questions ~= 1 then
        return nil, format("bad number of questions in DNS response: %d", questions)
    end
    local name, pos = read_name(text, HEADER + 1)
    if not name then
        return nil, pos
    end
    local class = read16(text, pos + 2)
    if not class then
        return nil, "truncated"
    elseif class ~= _M.CLASS_IN then
        return nil, format("unknown query class %d in DNS response", class)
    end
    return pos + 4
end

-- Take a reply apart. id: of the query. with_authority, with_additional: want the records of these sections too.
-- Returns an array of records, which has errcode and errstr when the server said no; or nil and why it is no reply:
-- "id mismatch", "truncated" (which asks for TCP), or another text.
function _M.parse(text, id, with_authority, with_additional)
    local pos, err = read_question(text, id)
    if not pos then
        return nil, err
    end
    local answers, code = {}, band(read16(text, 3), RCODE)
    if code ~= 0 then
        answers.errcode, answers.errstr = code, ERRORS[code] or "unknown"
    end
    pos, err = read_section(answers, text, pos, read16(text, 7), _M.SECTION_AN)
    if pos and (with_authority or with_additional) then
        pos, err = read_section(with_authority and answers, text, pos, read16(text, 9), _M.SECTION_NS)
    end
    if pos and with_additional then
        pos, err = read_section(answers, text, pos, read16(text, 11), _M.SECTION_AR)
    end
    if not pos then
        return nil, err
    end
    return answers
end

return _M
