-- Owns multipart/form-data: taking a body apart, changing its parts, writing it again. Must never touch a
-- request. Offers what Kong/lua-multipart does; syntax: RFC 2046, section 5.1, and RFC 7578.
local concat = table.concat
local find = string.find
local ipairs = ipairs
local match = string.match
local remove = table.remove
local setmetatable = setmetatable
local sub = string.sub
local type = type

local DEFAULT_BOUNDARY = "pygw-multipart-boundary"

local Multipart = { RANDOM_BOUNDARY = DEFAULT_BOUNDARY }
Multipart.__index = Multipart

local function boundary_of(content_type)
    local boundary = match(content_type or "", ";%s*[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]=(.*)$")
    if not boundary then
        return nil
    end
    boundary = match(boundary, '^"([^"]*)"') or match(boundary, "^'([^']*)'") or match(boundary, "^[^%s;]*")
    return boundary ~= "" and boundary or nil
end

-- Returns the first and last index of the next delimiter line with its line breaks, and whether it is the
-- closing one.
local function next_delimiter(body, boundary, from)
    local delimiter = "--" .. boundary
    while true do
        local first, last = find(body, delimiter, from, true)
        if not first then
            return nil
        end
        local after = match(body, "^%-?%-?[ \t]*()", last + 1)
        local line_end = match(body, "^\r?\n()", after)
        local closing = sub(body, last + 1, last + 2) == "--"
        local at_line_start = first == 1 or sub(body, first - 1, first - 1) == "\n"
        if at_line_start and (line_end or closing) then
            local break_before = match(sub(body, first > 2 and first - 2 or 1, first - 1), "\r?\n$") or ""
            return first - #break_before, (line_end or after) - 1, closing
        end
        from = last + 1
    end
end

-- A part: header lines, an empty line, the value. Returns {name, headers, value}, or nil without a name.
local function parse_part(text)
    local headers, name, pos = {}, nil, 1
    while true do
        local line, after = match(text, "^([^\r\n]*)\r?\n()", pos)
        if not line then
            return nil
        end
        pos = after
        if line == "" then
            break
        end
        headers[#headers + 1] = line
        if find(line, "^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]%-[Dd][Ii][Ss][Pp][Oo][Ss][Ii][Tt][Ii][Oo][Nn]%s*:") then
            name = match(line, ';%s*[Nn][Aa][Mm][Ee]="([^"]*)"') or match(line, ";%s*[Nn][Aa][Mm][Ee]=([^%s;]*)")
        end
    end
    return name and { name = name, headers = headers, value = sub(text, pos) }
end

-- A body that ends before its closing delimiter still gives its last part.
local function parse(body, boundary)
    local parts = {}
    local _, last, closing = next_delimiter(body, boundary, 1)
    while last and not closing do
        local begin = last + 1
        local first
        first, last, closing = next_delimiter(body, boundary, begin)
        parts[#parts + 1] = parse_part(sub(body, begin, (first or #body + 1) - 1))
    end
    return parts
end

-- data: a body; content_type: its header, for the boundary. Returns an object (without parts where the
-- header names no boundary).
function Multipart.new(data, content_type)
    local boundary = boundary_of(content_type)
    return setmetatable({
        boundary = boundary,
        parts = boundary and parse(data or "", boundary) or {},
    }, Multipart)
end

-- Returns the last part of that name, {name, headers, value}, and its index; or nil.
function Multipart:get(name)
    for i = #self.parts, 1, -1 do
        if self.parts[i].name == name then
            return self.parts[i], i
        end
    end
    return nil
end

-- Returns name -> value, the last one where a name comes twice.
function Multipart:get_all()
    local values = {}
    for _, part in ipairs(self.parts) do
        values[part.name] = part.value
    end
    return values
end

-- Returns name -> value, an array of values where a name comes twice.
function Multipart:get_all_with_arrays()
    local values = {}
    for _, part in ipairs(self.parts) do
        local present = values[part.name]
        if present == nil then
            values[part.name] = part.value
        elseif type(present) == "table" then
            present[#present + 1] = part.value
        else
            values[part.name] = { present, part.value }
        end
    end
    return values
end

-- Replaces the part of that name, or adds it.
function Multipart:set_simple(name, value)
    local _, index = self:get(name)
    self.parts[index or #self.parts + 1] = {
        name = name,
        headers = { 'Content-Disposition: form-data; name="' .. name .. '"' },
        value = value,
    }
end

function Multipart:delete(name)
    local _, index = self:get(name)
    if index then
        remove(self.parts, index)
    end
end

-- Returns the body as text, with the boundary that it came with.
function Multipart:tostring()
    if #self.parts == 0 then
        return ""
    end
    local delimiter = "--" .. (self.boundary or DEFAULT_BOUNDARY)
    local out = {}
    for _, part in ipairs(self.parts) do
        out[#out + 1] = delimiter .. "\r\n" .. concat(part.headers, "\r\n") .. "\r\n\r\n"
        out[#out + 1] = part.value .. "\r\n"
    end
    out[#out + 1] = delimiter .. "--\r\n"
    return concat(out)
end

return setmetatable(Multipart, {
    __call = function(_, ...)
        return Multipart.new(...)
    end,
})
