-- Owns the keywords about strings, but "format".
local format = string.format

local _M = {}

-- A character has one to four bytes: most lengths are told without counting characters.
local function write_lengths(add, schema)
    if schema.minLength then
        add("if #p < %d and utf8_length(p) < %d then", 4 * schema.minLength, schema.minLength)
        add('return false, "string too short, expected at least %d, got " .. utf8_length(p)', schema.minLength)
        add("end")
    end
    if schema.maxLength then
        add("if #p > %d and utf8_length(p) > %d then", schema.maxLength, schema.maxLength)
        add('return false, "string too long, expected at most %d, got " .. utf8_length(p)', schema.maxLength)
        add("end")
    end
end

function _M.write(compiler, add, schema)
    if not (schema.minLength or schema.maxLength or schema.pattern) then
        return
    end
    add('if t == "string" then')
    write_lengths(add, schema)
    if schema.pattern then
        add("if not match_pattern(p, %s) then", compiler:constant(schema.pattern))
        add("return false, %s .. format('%%q', p)",
            compiler:constant(format("failed to match pattern %q with ", schema.pattern)))
        add("end")
    end
    add("end")
end

return _M
