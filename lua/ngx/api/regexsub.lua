-- Owns ngx.re.sub and gsub. The user's replacement function is called from this file's Lua loop, so it
-- may yield and may use ngx.re itself: everything that a match left behind is read before the call.
local buffer = require "string.buffer"
local ffi = require "ffi"
local cache = require "ngx.api.regexcache"
local captures = require "ngx.api.captures"
local errors = require "ngx.api.pcre_errors"
local log = require "server.log"
local pcre = require "ngx.api.pcre"
local templates = require "ngx.api.template"

local collect = captures.collect
local exec_error = errors.exec
local ffi_cast = ffi.cast
local lookup = cache.lookup
local new_buffer = buffer.new
local offsets = pcre.offsets
local tostring = tostring
local type = type

local ERR = 4 -- a level of the log
local KEEP = 1048576
local NOMATCH = -1
local TOO_SMALL = "capture size too small"
local BAD_TEMPLATE = "failed to compile the replacement template"

local shared = new_buffer(4096)

local function put_template(out, template, rc, bytes)
    local literals, groups = template.literals, template.groups
    for i = 1, template.n do
        out:put(literals[i])
        local group = groups[i]
        if group < rc then
            local from = offsets[4 * group]
            local len = offsets[4 * group + 2] - from
            if from >= 0 and len > 0 then
                out:putcdata(bytes + from, len)
            end
        end
    end
    out:put(literals[template.n + 1])
end

-- Replaces into `out`. template: a compiled one, or nil to call func with the captures. Returns the
-- number of replacements, or nil and the error.
local function replace(out, compiled, subject, template, func, all)
    local bytes = ffi_cast("const char *", subject)
    local count, pos, copied, len = 0, 0, 0, #subject
    while pos <= len do
        local rc = compiled.match(compiled.code, subject, pos, compiled.match_options)
        if rc == NOMATCH then
            break
        elseif rc <= 0 then
            return nil, rc == 0 and TOO_SMALL or exec_error(rc)
        end
        local from, to = offsets[0], offsets[2]
        if from > copied then
            out:putcdata(bytes + copied, from - copied)
        end
        if template then
            put_template(out, template, rc, bytes)
        else
            out:put(tostring(func(collect(compiled, subject))))
        end
        count = count + 1
        copied = to
        pos = from == to and to + 1 or to
        if not all then
            break
        end
    end
    if copied < len then
        out:putcdata(bytes + copied, len - copied)
    end
    return count
end

-- Run the replacement and return exactly what ngx.re.sub returns: callers print all of it.
local function finish(out, compiled, subject, template, func, all)
    local count, err = replace(out, compiled, subject, template, func, all)
    if not count then
        return nil, nil, err
    elseif count == 0 then
        return subject, 0
    end
    return out:tostring(), count
end

local function log_template_error(reason)
    log.bare(ERR, reason)
end

local function substitute_template(compiled, subject, replacement, all)
    local template, reason = templates.compile(replacement)
    if not template then
        log_template_error(reason)
        return nil, nil, BAD_TEMPLATE
    end
    if #shared > KEEP then
        shared:free()
    else
        shared:reset()
    end
    return finish(shared, compiled, subject, template, nil, all)
end

local function substitute(subject, regex, replacement, options, all)
    local is_function = type(replacement) == "function"
    subject, replacement = tostring(subject), is_function and replacement or tostring(replacement)
    local compiled, err = lookup(regex, options, 2) -- sub and gsub are gone: they call in tail position
    if not compiled then
        return nil, nil, err
    elseif not is_function then
        return substitute_template(compiled, subject, replacement, all)
    end
    compiled.held = true
    return finish(new_buffer(), compiled, subject, nil, replacement, all)
end

local _M = {}

-- ngx.re.sub(subject, regex, replace, options?) -> text, count | nil, nil, error. replace: a template
-- ("$0", "${1}", "$$"), or a function from captures to the text.
function _M.sub(subject, regex, replacement, options)
    return substitute(subject, regex, replacement, options, false)
end

-- ngx.re.gsub: the same for every match.
function _M.gsub(subject, regex, replacement, options)
    return substitute(subject, regex, replacement, options, true)
end

return _M
