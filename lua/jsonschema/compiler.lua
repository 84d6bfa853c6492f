-- Owns the turning of a schema into the source of one Lua chunk, and of that into a function.
-- Must never know a keyword: jsonschema.keywords.* write the checks, in the order given here.
--
-- In the chunk each schema is a function V[n](p) -> true, or false and a message; what it compares with stands in K[n].
-- Tables, since a function may have but 60 upvalues and 200 locals. A body may use: p the value, t its type,
-- k its kind if it is a table (checks.kind), and the names of the chunk's first line.
local checks = require "jsonschema.checks"
local references = require "jsonschema.references"

local type = type
local error = error
local ipairs = ipairs
local select = select
local loadstring = loadstring
local setmetatable = setmetatable
local concat = table.concat
local format = string.format

local KEYWORDS = {
    require "jsonschema.keywords.type",
    require "jsonschema.keywords.object",
    require "jsonschema.keywords.array",
    require "jsonschema.keywords.string",
    require "jsonschema.keywords.number",
    require "jsonschema.keywords.compound",
    require "jsonschema.keywords.rest",
}

local HEAD = [[
local K, V, checks, null, match_pattern, skip_validation = ...
local type, pairs, tostring, tonumber, format = type, pairs, tostring, tonumber, string.format
local kind, equal, duplicates = checks.kind, checks.equal, checks.duplicates
local utf8_length, copy, is_multiple = checks.utf8_length, checks.copy, checks.is_multiple
]]

local _M = {}
local mt = { __index = _M }

--- The source of `text` as a Lua string.
function _M.quote(text)
    return (format("%q", text):gsub("\n", "n"):gsub("\r", "\\r"))
end

--- The expression of a value that the checks refer to.
function _M:constant(value)
    if type(value) == "string" then
        return _M.quote(value)
    elseif type(value) == "number" and value == value and value - value == 0 then
        return format("%.17g", value)
    elseif type(value) == "boolean" then
        return value and "true" or "false"
    end
    self.constants[#self.constants + 1] = value
    return format("K[%d]", #self.constants)
end

-- A function of the chunk, of the lines that `write(add)` adds.
function _M:add_function(index, write)
    local lines = { format("V[%d] = function(p)", index) }
    write(function(line, ...)
        lines[#lines + 1] = select("#", ...) > 0 and format(line, ...) or line
    end)
    lines[#lines + 1] = "return true"
    lines[#lines + 1] = "end"
    self.functions[#self.functions + 1] = concat(lines, "\n")
end

--- The number of a function yet to be written.
function _M:reserve()
    self.reserved = self.reserved + 1
    return self.reserved
end

local function write_boolean(add, schema)
    if not schema then
        add('do return false, "expect false always" end')
    end
end

local function write_schema(self, add, schema)
    if self.options.skip_validation then
        add("if p ~= nil and skip_validation(p, %s) then return true end", self:constant(schema))
    end
    add("local t = type(p)")
    add('local k = t == "table" and kind(p)')
    for _, keyword in ipairs(KEYWORDS) do
        keyword.write(self, add, schema)
    end
end

--- The expression of the function that validates by `schema` (or what it refers to).
function _M:validator(schema)
    local resolved = self.references:resolve(schema)
    local index = self.validators[resolved]
    if not index then
        index = self:reserve()
        self.validators[resolved] = index
        self:add_function(index, function(add)
            if type(resolved) == "table" then
                write_schema(self, add, resolved)
            else
                write_boolean(add, resolved)
            end
        end)
    end
    return format("V[%d]", index)
end

--- Write the chunk of `schema`.
-- @param options see jsonschema.generate_validator, complete
function _M.new(schema, options)
    local self = setmetatable({
        options = options,
        references = references.new(schema, options.external_resolver),
        constants = {}, functions = {}, validators = {}, reserved = 0,
    }, mt)
    self.main = self:validator(schema)
    return self
end

--- The chunk's source.
function _M:source()
    return HEAD .. concat(self.functions, "\n") .. "\nreturn " .. self.main
end

--- The validator: function(value) -> true, or false and a message.
function _M:load()
    local options = self.options
    local chunk, err = loadstring(self:source(), "=jsonschema:" .. (options.name or "anonymous"))
    if not chunk then
        error(err)
    end
    return chunk(self.constants, {}, checks, options.null, options.match_pattern, options.skip_validation)
end

return _M
