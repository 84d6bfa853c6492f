-- Owns the keywords about numbers.
local type = type
local tostring = tostring

local function write_bound(add, compiler, operator, bound, text)
    add("if p %s %s then", operator, compiler:constant(bound))
    add("return false, 'expected ' .. tostring(p) .. %s",
        compiler:constant(" to be " .. text .. " " .. tostring(bound)))
    add("end")
end

-- From draft 6 on an exclusive bound is a number of its own; in draft 4 it is true and sharpens the plain one.
local function write_bounds(add, compiler, schema, plain, exclusive, operators, texts)
    local bound, sharp = schema[plain], schema[exclusive]
    if bound and sharp == true then
        write_bound(add, compiler, operators[2], bound, texts[2])
    elseif bound then
        write_bound(add, compiler, operators[1], bound, texts[1])
    end
    if type(sharp) == "number" then
        write_bound(add, compiler, operators[2], sharp, texts[2])
    end
end

local function write_multiple(add, compiler, factor)
    if factor % 1 == 0 then
        add("if p %% %s ~= 0 then", compiler:constant(factor))
    else
        add("if not is_multiple(p, %s) then", compiler:constant(factor))
    end
    add("return false, 'expected ' .. tostring(p) .. %s",
        compiler:constant(" to be a multiple of " .. tostring(factor)))
    add("end")
end

local _M = {}

function _M.write(compiler, add, schema)
    if not (schema.minimum or schema.maximum or schema.exclusiveMinimum or schema.exclusiveMaximum
            or schema.multipleOf) then
        return
    end
    add('if t == "number" then')
    write_bounds(add, compiler, schema, "minimum", "exclusiveMinimum", { "<", "<=" }, { "at least", "greater than" })
    write_bounds(add, compiler, schema, "maximum", "exclusiveMaximum", { ">", ">=" }, { "at most", "smaller than" })
    if schema.multipleOf then
        write_multiple(add, compiler, schema.multipleOf)
    end
    add("end")
end

return _M
