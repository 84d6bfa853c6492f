-- Owns rules of the form {{"arg_name", "==", "json"}, …}: compiles one into closures, once, and runs
-- them against a table of variables. Must never read the request by itself, except ngx.var as the
-- table to fall back on. Mirrors api7/lua-resty-expr 1.3: operators, logical forms, error texts.
local ipmatcher = require "resty.ipmatcher"

local ngx = ngx
local ipairs = ipairs
local setmetatable = setmetatable
local str_lower = string.lower
local str_upper = string.upper
local tonumber = tonumber
local type = type

local _M = {}
local mt = { __index = _M }

-- The regex family of this runtime may be patched later by its user, hence no upvalue for it.
local function matches(subject, pattern, options)
    return subject and ngx.re.find(subject, pattern, options) ~= nil or false
end

-- Makes a comparison of two numbers; whatever is not a number compares as false.
local function numeric(compare)
    return function(name, wanted)
        wanted = tonumber(wanted)
        if not wanted then
            return function() return false end
        end
        return function(vars)
            local value = tonumber(vars[name])
            return value ~= nil and compare(value, wanted)
        end
    end
end

local function equals(name, wanted)
    if type(wanted) == "number" then
        return function(vars)
            return tonumber(vars[name]) == wanted
        end
    end
    return function(vars)
        return vars[name] == wanted
    end
end

local function contains(array, element)
    for _, each in ipairs(array) do
        if each == element then
            return true
        end
    end
    return false
end

local function is_in(name, array)
    local members = {}
    for _, each in ipairs(type(array) == "table" and array or members) do
        members[each] = true
    end
    return function(vars)
        local value = vars[name]
        return value ~= nil and members[value] == true
    end
end

local function regex(options)
    return function(name, pattern)
        return function(vars)
            return matches(vars[name], pattern, options)
        end
    end
end

-- operator -> function(variable name, right side) -> predicate over the variables
local OPERATORS = {
    ["=="] = equals,
    ["~="] = function(name, wanted)
        local equal = equals(name, wanted)
        return function(vars) return not equal(vars) end
    end,
    [">"] = numeric(function(a, b) return a > b end),
    [">="] = numeric(function(a, b) return a >= b end),
    ["<"] = numeric(function(a, b) return a < b end),
    ["<="] = numeric(function(a, b) return a <= b end),
    ["~~"] = regex("jo"),
    ["~*"] = regex("joi"),
    ["in"] = is_in,
    ["has"] = function(name, element)
        return function(vars)
            local array = vars[name]
            return type(array) == "table" and contains(array, element)
        end
    end,
    ["ipmatch"] = function(name, matcher)
        return function(vars)
            return (matcher:match(vars[name]))
        end
    end,
}

local function all_of(predicates, wanted)
    local count = #predicates
    return function(vars)
        for i = 1, count do
            if not predicates[i](vars) then
                return not wanted
            end
        end
        return wanted
    end
end

local function any_of(predicates, wanted)
    local count = #predicates
    return function(vars)
        for i = 1, count do
            if predicates[i](vars) then
                return wanted
            end
        end
        return not wanted
    end
end

local LOGIC = {
    ["AND"] = function(predicates) return all_of(predicates, true) end,
    ["!AND"] = function(predicates) return all_of(predicates, false) end,
    ["OR"] = function(predicates) return any_of(predicates, true) end,
    ["!OR"] = function(predicates) return any_of(predicates, false) end,
}

local function as_matcher(addresses)
    if not addresses or addresses == "" then
        return nil, "invalid ip address"
    end
    if type(addresses) ~= "table" then
        addresses = { addresses }
    end
    if #addresses == 0 then
        return nil, "invalid ip address"
    end
    return ipmatcher.new(addresses)
end

-- {name, operator, right side}, {name, "!", operator, right side}, or {name, value}.
local function compile_comparison(rule)
    local negated = #rule == 4
    if negated and rule[2] ~= "!" then
        return nil, "bad 'not' expression"
    end

    local name = rule[1]
    local op, right = rule[negated and 3 or 2], rule[negated and 4 or 3]
    if name == nil or op == nil or type(op) == "table" then
        return nil, "invalid expression"
    end

    op = str_lower(op)
    if right == nil and not OPERATORS[op] then
        op, right = "==", op -- the short form
    end
    local make = OPERATORS[op]
    if not make then
        return nil, "invalid operator '" .. op .. "'"
    end
    if op == "ipmatch" then
        local matcher, err = as_matcher(right)
        if not matcher then
            return nil, err
        end
        right = matcher
    elseif right == ngx.null then
        right = nil
    end

    local predicate = make(name, right)
    if negated then
        return function(vars) return not predicate(vars) end
    end
    return predicate
end

local compile

local function compile_list(rules, first)
    local predicates = {}
    for i = first, #rules do
        local predicate, err = compile(rules[i])
        if not predicate then
            return nil, err
        end
        predicates[#predicates + 1] = predicate
    end
    return predicates
end

local function logic_of(word)
    return (type(word) == "string" or type(word) == "number") and LOGIC[str_upper(word)]
end

compile = function(rule)
    if type(rule) ~= "table" then
        return nil, "invalid expression"
    end
    if #rule == 0 then
        return nil, "rule too short"
    end

    local combine, first
    if type(rule[1]) == "table" then
        combine, first = LOGIC.AND, 1
    else
        combine, first = logic_of(rule[1]), 2
        if not combine then
            return compile_comparison(rule)
        end
        if #rule <= 2 then
            return nil, "rule too short"
        end
    end

    local predicates, err = compile_list(rule, first)
    if not predicates then
        return nil, err
    end
    return combine(predicates)
end

-- rule: array of comparisons, or {"AND" | "OR" | "!AND" | "!OR", comparison, comparison…}; they nest.
-- Returns an object with eval(), or nil, err.
function _M.new(rule)
    if not rule then
        return nil, "missing argument rule"
    end
    if #rule == 0 then
        return setmetatable({}, mt)
    end
    if type(rule[1]) ~= "table" and not logic_of(rule[1]) then
        return nil, "rule should be wrapped inside brackets"
    end

    local predicate, err = compile(rule)
    if not predicate then
        return nil, err
    end
    return setmetatable({ rule = predicate }, mt)
end

-- vars: table of variables (ctx.var); ngx.var if nil. Further arguments are accepted and not used,
-- as the router passes its options. Returns true or false, or nil, err.
function _M:eval(vars)
    local predicate = self.rule
    if not predicate then
        return true
    end
    vars = vars or ngx.var
    if type(vars) ~= "table" then
        return nil, "bad ctx type"
    end
    return predicate(vars)
end

return _M
