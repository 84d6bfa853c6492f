-- Owns the logging of requests to a file, a line of JSON each. Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name; the files are kept in file-logger/.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local files = require "apisix.plugins.file-logger.files"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"
local plugin = require "apisix.plugin"

local NAME = "file-logger"

local schema = {
    type = "object",
    properties = logger.properties {
        path = { type = "string" },
        match = { type = "array", maxItems = 20, items = { type = "array" } },
    },
}
local metadata_schema = logger.metadata_schema { path = { type = "string" } }

local _M = {
    version = 0.1,
    priority = 399,
    name = NAME,
    schema = schema,
    metadata_schema = metadata_schema,
    access = log_util.check_and_read_req_body,
    body_filter = log_util.collect_body,
}

-- Returns the path, or nil and why there is none.
local function path_of(conf)
    if conf.path then
        return conf.path
    end
    local metadata = plugin.plugin_metadata(NAME)
    local path = metadata and metadata.value and metadata.value.path
    if path then
        return path
    end
    return nil, 'property "path" is not set in either the plugin conf or the metadata'
end

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    if conf.match then
        local ok, err = expr.new(conf.match)
        if not ok then
            return nil, "failed to validate the 'match' expression: " .. err
        end
    end
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    ok, err = path_of(conf)
    if not ok then
        return nil, err
    end
    return true
end

local function write(conf, entry)
    local path, err = path_of(conf)
    if not path then
        return core.log.error(err)
    end
    local line
    line, err = core.json.encode(entry)
    if not line then
        return core.log.error("failed to encode the log entry: ", err)
    end
    return files.write(path, line .. "\n")
end

function _M.log(conf, ctx)
    local entry = log_util.get_log_entry(NAME, conf, ctx)
    if entry then
        return write(conf, entry)
    end
end

return _M
