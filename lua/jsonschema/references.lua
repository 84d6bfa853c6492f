-- Owns the finding of schemas by "$ref": identifiers ("$id", draft 4's "id"), JSON pointers, external documents.
-- Must never change a schema.
local uri = require "jsonschema.uri"

local type = type
local error = error
local pairs = pairs
local ipairs = ipairs
local tonumber = tonumber
local setmetatable = setmetatable
local char, format, gsub, gmatch, sub = string.char, string.format, string.gsub, string.gmatch, string.sub

-- Where schemas stand within a schema: as the value, in a table by name, or in a list.
local SCHEMAS = {
    "items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else",
}
local NAMED_SCHEMAS = { "properties", "patternProperties", "definitions", "dependencies" }
local SCHEMA_LISTS = { "items", "allOf", "anyOf", "oneOf" }

local _M = {}
local mt = { __index = _M }

local function identifier_of(schema)
    local id = schema["$id"] or schema.id
    return type(id) == "string" and not schema["$ref"] and id or nil
end

-- Note the base URI of `schema` and of all schemas in it, and what they are called.
local function index(self, schema, base)
    if type(schema) ~= "table" or self.bases[schema] then
        return
    end
    local id = identifier_of(schema)
    if id then
        local absolute, fragment = uri.resolve(base, id)
        if fragment and fragment ~= "" then
            self.anchors[absolute .. "#" .. fragment] = schema
        else
            self.documents[absolute], base = schema, absolute
        end
    end
    self.bases[schema] = base
    for _, keyword in ipairs(SCHEMAS) do
        index(self, schema[keyword], base)
    end
    for _, keyword in ipairs(NAMED_SCHEMAS) do
        for _, named in pairs(type(schema[keyword]) == "table" and schema[keyword] or {}) do
            index(self, named, base)
        end
    end
    for _, keyword in ipairs(SCHEMA_LISTS) do
        for _, listed in ipairs(type(schema[keyword]) == "table" and schema[keyword] or {}) do
            index(self, listed, base)
        end
    end
end

local function document(self, name)
    local found = self.documents[name]
    if found == nil then
        if not self.external_resolver then
            error("an external resolver is required to fetch " .. name)
        end
        found = self.external_resolver(name)
        if found == nil then
            error("failed to fetch schema for: " .. name)
        end
        self.documents[name] = found
        index(self, found, name)
    end
    return found
end

local function unescape(part)
    part = gsub(part, "%%(%x%x)", function(hex)
        return char(tonumber(hex, 16))
    end)
    return (gsub(gsub(part, "~1", "/"), "~0", "~"))
end

-- A step of a JSON pointer: numbers count from 0 in lists, and may be names in objects.
local function step(node, part)
    if type(node) ~= "table" then
        return nil
    end
    local name = unescape(part)
    local inner = node[name]
    if inner == nil and tonumber(name) then
        inner = node[tonumber(name) + 1]
    end
    return inner
end

local function follow_pointer(self, root, name, fragment)
    local node, base = root, self.bases[root] or name
    for part in gmatch(sub(fragment, 2) .. "/", "([^/]*)/") do
        local inner = step(node, part)
        if inner == nil then
            error(format("reference not found: %s#%s (at %q)", name, fragment, part))
        end
        node, base = inner, self.bases[inner] or base
    end
    index(self, node, base)
    return node
end

local function target(self, schema)
    local name, fragment = uri.resolve(self.bases[schema] or "", schema["$ref"])
    local anchored = fragment and self.anchors[name .. "#" .. fragment]
    if anchored then
        return anchored
    end
    local root = document(self, name)
    anchored = fragment and self.anchors[name .. "#" .. fragment]
    if anchored or not fragment or fragment == "" then
        return anchored or root
    end
    if sub(fragment, 1, 1) ~= "/" then
        error(format("reference not found: %s#%s", name, fragment))
    end
    return follow_pointer(self, root, name, fragment)
end

--- The schema that `schema` stands for: itself, or what its "$ref" (and that one's) leads to.
-- Raises if there is none.
function _M:resolve(schema)
    local seen = {}
    while type(schema) == "table" and type(schema["$ref"]) == "string" do
        if seen[schema] then
            error("reference to itself: " .. schema["$ref"])
        end
        seen[schema] = true
        schema = target(self, schema)
    end
    return schema
end

--- References within `root`.
-- @param external_resolver function(uri) -> schema for documents that `root` does not hold, or nil
function _M.new(root, external_resolver)
    local self = setmetatable({
        bases = {},      -- schema -> its base URI
        documents = {},  -- absolute URI -> schema
        anchors = {},    -- absolute URI#name -> schema
        external_resolver = external_resolver,
    }, mt)
    self.documents[""] = root
    index(self, root, "")
    return self
end

return _M
