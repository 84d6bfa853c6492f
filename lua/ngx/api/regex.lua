-- Owns ngx.re.match, find and gmatch, and gathers ngx.re. Nothing here yields; what it returns on
-- errors is what lua-resty-core returns.
local cache = require "ngx.api.regexcache"
local captures = require "ngx.api.captures"
local errors = require "ngx.api.pcre_errors"
local pcre = require "ngx.api.pcre"
local substitute = require "ngx.api.regexsub"

local collect = captures.collect
local exec_error = errors.exec
local lookup = cache.lookup
local offsets = pcre.offsets
local setmetatable = setmetatable
local tostring = tostring
local type = type

local NOMATCH = -1
local TOO_SMALL = "capture size too small"

-- Runs the pattern from ctx.pos. Returns true and moves ctx.pos behind the match; false if nothing
-- matched; nil and the error.
local function run(compiled, subject, ctx)
    local pos = ctx and ctx.pos or 1
    local rc = compiled.match(compiled.code, subject, pos > 1 and pos - 1 or 0, compiled.match_options)
    if rc == NOMATCH then
        return false
    elseif rc <= 0 then
        return nil, rc == 0 and TOO_SMALL or exec_error(rc)
    end
    if ctx then
        ctx.pos = offsets[2] + 1
    end
    return true
end

-- ngx.re.match(subject, regex, options?, ctx?, res?) -> captures | nil | nil, error
local function match(subject, regex, options, ctx, res)
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local compiled, err = lookup(regex, options, 2)
    if not compiled then
        return nil, err
    end
    local found
    found, err = run(compiled, subject, ctx)
    if found then
        return collect(compiled, subject, res)
    elseif found == false then
        return nil
    end
    return nil, err
end

-- ngx.re.find(subject, regex, options?, ctx?, nth?) -> from, to | nil | nil, nil, error
local function find(subject, regex, options, ctx, nth)
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local compiled, err = lookup(regex, options, 2)
    if not compiled then
        return nil, nil, err
    end
    local found
    found, err = run(compiled, subject, ctx)
    if found == false then
        return nil
    elseif not found then
        return nil, nil, err
    end
    nth = nth and nth > 0 and nth or 0
    if nth > compiled.groups then
        return nil, nil, "nth out of bound"
    end
    local from = offsets[4 * nth]
    if from < 0 then
        return nil, nil
    end
    return from + 1, offsets[4 * nth + 2]
end

-- One step of gmatch. After an empty match the next search begins one byte further on.
local function iterate(self)
    local compiled, subject, pos = self.compiled, self.subject, self.pos
    if not pos then
        return nil
    end
    local rc = compiled.match(compiled.code, subject, pos, compiled.match_options)
    if rc <= 0 then
        self.pos = nil
        if rc == NOMATCH then
            return nil
        end
        return nil, rc == 0 and TOO_SMALL or exec_error(rc)
    end
    local from, to = offsets[0], offsets[2]
    pos = from == to and to + 1 or to
    self.pos = pos <= #subject and pos or nil
    return collect(compiled, subject)
end

local iterator = { __call = iterate }

-- ngx.re.gmatch(subject, regex, options?) -> iterator | nil, error. Each call of the iterator gives
-- captures, nil at the end, or nil and an error.
local function gmatch(subject, regex, options)
    local compiled, err = lookup(regex, options, 2)
    if not compiled then
        return nil, err
    end
    compiled.held = true
    return setmetatable({ compiled = compiled, subject = tostring(subject), pos = 0 }, iterator)
end

return {
    re = {
        match = match,
        find = find,
        gmatch = gmatch,
        sub = substitute.sub,
        gsub = substitute.gsub,
    },
}
