-- Owns the tables of captures that ngx.re.match and its kin return. Reads the offsets of the last match.
local new_table = require "table.new"
local pcre = require "ngx.api.pcre"

local offsets = pcre.offsets
local sub = string.sub

local function collect_named(compiled, res)
    local names = compiled.names
    for i = 1, 2 * compiled.name_count, 2 do
        local name, value = names[i + 1], res[names[i]]
        if not compiled.duplicates then
            res[name] = value
        elseif value then
            local values = res[name]
            if values then
                values[#values + 1] = value
            else
                res[name] = { value }
            end
        end
    end
end

-- The captures of the last match as a table (res, or a new one): [0] is the whole match, [n] group n,
-- false if it did not take part; named groups also under their names, with "D" as arrays.
local function collect(compiled, subject, res)
    local groups = compiled.groups
    res = res or new_table(groups, compiled.name_count + 1)
    for i = 0, groups do
        local from = offsets[4 * i]
        res[i] = from >= 0 and sub(subject, from + 1, offsets[4 * i + 2])
    end
    if compiled.name_count > 0 then
        collect_named(compiled, res)
    end
    return res
end

return { collect = collect }
