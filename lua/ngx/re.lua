-- Owns the module ngx.re of lua-resty-core: split, and opt for the options of the regex engine.
local cache = require "ngx.api.regexcache"
local errors = require "ngx.api.pcre_errors"
local pcre = require "ngx.api.pcre"

local error = error
local lookup = cache.lookup
local max_of = math.max
local offsets = pcre.offsets
local sub = string.sub
local tostring = tostring
local type = type

local NOMATCH = -1

local _M = {}

-- The next separator at or behind byte `pos` (from 0). Returns where it begins and where the text
-- behind it begins (both from 1) and its first group, if any; nil, or nil and the error.
local function next_separator(compiled, subject, pos)
    local rc = compiled.match(compiled.code, subject, pos, compiled.match_options)
    if rc == NOMATCH then
        return nil
    elseif rc <= 0 then
        return nil, rc == 0 and "capture size too small" or errors.exec(rc)
    end
    local group
    if compiled.groups > 0 and rc > 1 then
        group = sub(subject, offsets[4] + 1, offsets[6])
    end
    return offsets[0] + 1, offsets[2] + 1, group
end

-- Drop the empty fields at the end, as Perl's split does. Returns how many fields are left.
local function trim(fields, n)
    while n > 0 and fields[n] == "" do
        fields[n] = nil
        n = n - 1
    end
    return n
end

-- Fill `fields` from byte ctx.pos on (from 1). Returns the count of fields, or nil and the error. A
-- separator that matches nothing splits between two bytes, but not before the first.
local function split_into(fields, compiled, subject, ctx, max)
    local len, n, field, pieces = #subject, 0, ctx.pos, 1
    local empty_at
    ctx.pos = field - 1
    while pieces ~= max do
        local from, to, group = next_separator(compiled, subject, max_of(ctx.pos, 0))
        if not from then
            if to then
                return nil, to
            end
            break
        end
        ctx.pos = from == to and to or to - 1
        if empty_at then
            field = empty_at
        end
        if from == to then
            empty_at = from
        end
        if from > field or not empty_at then
            n, pieces = n + 1, pieces + 1
            fields[n] = sub(subject, field, from - 1)
            if group then
                n = n + 1
                fields[n] = group
            end
            field = to
            if field > len then
                break
            end
        end
    end
    if max <= 0 and field > len then
        return trim(fields, n)
    end
    fields[n + 1] = sub(subject, field)
    return n + 1
end

-- split(subject, regex, options?, ctx?, max?, res?) -> fields | nil, error. ctx.pos: where to begin
-- (from 1); max: at most so many fields, 0 for all, and then empty ones at the end are dropped; the first
-- group of the separator is put between the fields; res: filled instead of a new table.
function _M.split(subject, regex, options, ctx, max, res)
    subject = tostring(subject)
    ctx = ctx or {}
    ctx.pos = ctx.pos or 1
    if res == nil then
        res = {}
    elseif type(res) ~= "table" then
        error("res is not a table", 2)
    end
    if ctx.pos > #subject then
        res[1] = nil
        return res
    end
    local compiled, err = lookup(regex, options, 2)
    if not compiled then
        return nil, err
    end
    local n
    n, err = split_into(res, compiled, subject, ctx, max or 0)
    if not n then
        return nil, err
    end
    res[n + 1] = nil
    return res
end

-- opt("jit_stack_size", bytes): the most stack that JIT-compiled regexes may use. Raises once regexes
-- with "o" have been compiled, for another option, and when there is no memory.
function _M.opt(option, value)
    if option ~= "jit_stack_size" then
        error("unrecognized option name", 2)
    end
    if not cache.is_empty() then
        error("changing jit stack size is not allowed when some regexs have already been compiled and cached", 2)
    end
    local done, err = pcre.set_jit_stack(value)
    if not done then
        error(err, 2)
    end
end

return _M
