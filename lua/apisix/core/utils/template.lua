-- Owns texts with variables in them: "$uri", "${uri}", "${arg_x ?? default}", "\$" for a dollar, and "$1" for
-- captures. A template is taken apart once and remembered. Part of apisix.core.utils.
local log = require "apisix.core.log"
local ngx_re = require "ngx.re"

local byte = string.byte
local concat = table.concat
local find = string.find
local match = string.match
local sub = string.sub
local tonumber = tonumber
local tostring = tostring
local type = type

local BACKSLASH, OPEN_BRACE = byte("\\"), byte("{")
local MAX_REMEMBERED = 4096 -- templates; more than that are not configuration but made on the fly

local _M = {}

-- Splits text at what `read` recognises at an unescaped dollar. read(text, position of the dollar) returns
-- the variable and the position after it, or nil. Returns the literals (one more than variables), the
-- variables and their number.
local function take_apart(text, read)
    local literals, variables, count = {}, {}, 0
    local from, dollar = 1, find(text, "$", 1, true)
    while dollar do
        local variable, after
        if byte(text, dollar - 1) ~= BACKSLASH or dollar == 1 then
            variable, after = read(text, dollar)
        end
        if variable then
            count = count + 1
            literals[count] = sub(text, from, dollar - 1)
            variables[count] = variable
            from = after
        end
        dollar = find(text, "$", after or dollar + 1, true)
    end
    literals[count + 1] = sub(text, from)
    return literals, variables, count
end

local function with_default(name)
    local parts, err = ngx_re.split(name, [[\s*\?\?\s*]])
    if not parts then
        log.error("failed to split variable ", name, ": ", err)
        return nil
    end
    return { name = parts[1] or "", default = parts[2] }
end

local function read_variable(text, dollar)
    if byte(text, dollar + 1) ~= OPEN_BRACE then
        local name, after = match(text, "^([%w_.]+)()", dollar + 1)
        return name and { name = name }, after
    end
    local name, after = match(text, "^{([^}]+)}()", dollar + 1)
    if not name then
        return nil
    end
    return with_default(match(name, "^%s*(.-)%s*$")), after
end

local function read_capture(text, dollar)
    local number, after = match(text, "^{?(%d+)()", dollar + 1)
    if not number then
        return nil
    end
    if sub(text, after, after) == "}" then
        after = after + 1
    end
    return tonumber(number), after
end

-- Returns a function that gives the compiled form of a text, false if it has no variable.
local function remember(read)
    local compiled, size = {}, 0
    return function(text)
        local template = compiled[text]
        if template == nil then
            local literals, variables, count = take_apart(text, read)
            template = count > 0 and { literals = literals, variables = variables, count = count }
            if size == MAX_REMEMBERED then
                compiled, size = {}, 0
            end
            compiled[text] = template
            size = size + 1
        end
        return template
    end
end

local template_of = remember(read_variable)
local capture_template_of = remember(read_capture)

-- Returns the variable's text, and whether it counts as resolved: an absent one without default does not.
local function value_of(variable, vars, escape)
    local value = vars[variable.name]
    if value == nil then
        value = variable.default
        if value == nil then
            return "", 0
        end
    end
    if type(value) ~= "string" then
        value = tostring(value)
    end
    if escape then
        value = escape(value)
    end
    return value, 1
end

-- tpl: text or nil; vars: table of variables (ctx.var); escape: function(text) -> text for the values.
-- Returns the text, nil, and the number of variables that had a value.
function _M.resolve_var(tpl, vars, escape)
    local template = type(tpl) == "string" and template_of(tpl)
    if not template then
        return tpl, nil, 0
    end

    local literals, variables, count = template.literals, template.variables, template.count
    if count == 1 then
        local value, resolved = value_of(variables[1], vars, escape)
        return literals[1] .. value .. literals[2], nil, resolved
    end

    local out, resolved = { literals[1] }, 0
    for i = 1, count do
        local value, one = value_of(variables[i], vars, escape)
        resolved = resolved + one
        out[2 * i] = value
        out[2 * i + 1] = literals[i + 1]
    end
    return concat(out), nil, resolved
end

-- tpl: text or nil with "$1", "${2}", …; captures: array of texts. An absent capture is empty.
-- Returns the text, nil.
function _M.resolve_var_with_captures(tpl, captures)
    local template = type(tpl) == "string" and capture_template_of(tpl)
    if not template then
        return tpl, nil
    end
    captures = captures or {}
    local out = { template.literals[1] }
    for i = 1, template.count do
        out[2 * i] = captures[template.variables[i]] or ""
        out[2 * i + 1] = template.literals[i + 1]
    end
    return concat(out), nil
end

return _M
