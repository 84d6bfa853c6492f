-- Owns the module `jsonschema`: JSON Schema (drafts 4, 6, 7) compiled to Lua, with the interface, the order of checks
-- and the messages of api7/jsonschema 0.9.13. Must never keep a schema: callers cache their validators.
local cjson = require "cjson.safe"
local compiler = require "jsonschema.compiler"
local formats = require "jsonschema.formats"

local function match_pattern(text, pattern)
    return ngx.re.find(text, pattern, "jo")
end

local function complete(options)
    options = options or {}
    return {
        name = options.name,
        null = options.null or cjson.null,
        match_pattern = options.match_pattern or match_pattern,
        parse_ipv4 = options.parse_ipv4 or formats.parse_ipv4,
        parse_ipv6 = options.parse_ipv6 or formats.parse_ipv6,
        external_resolver = options.external_resolver,
        skip_validation = options.skip_validation,
    }
end

local _M = {}

--- Compile `schema`, a table or a boolean.
-- @param options a table or nil:
--   null: what stands for JSON null (cjson.null);
--   match_pattern(text, pattern) -> true if it matches (ngx.re.find);
--   parse_ipv4, parse_ipv6 (text) -> boolean;
--   external_resolver(uri) -> schema, for documents that a "$ref" names;
--   skip_validation(value, schema) -> true to accept a value that is not nil without a check;
--   name: for stack traces
-- @return function(value) -> true, or false and a message; it fills defaults into `value`. Raises for a wrong schema.
function _M.generate_validator(schema, options)
    return compiler.new(schema, complete(options)):load()
end

--- The Lua source that generate_validator would load, to look at.
function _M.generate_validator_code(schema, options)
    return compiler.new(schema, complete(options)):source()
end

return _M
