-- Owns the form in which the plugin http-logger sends a batch.
local core = require "apisix.core"
local logger = require "apisix.utils.log-util.logger"
local post = require "apisix.utils.log-util.post"

local concat = table.concat

local _M = {}

local function encode_lines(entries)
    local lines = core.table.new(#entries, 0)
    for i = 1, #entries do
        local line, err = core.json.encode(entries[i])
        if not line then
            core.log.warn("failed to encode http log: ", err)
            return nil, err
        end
        lines[i] = line
    end
    return concat(lines, "\n")
end

local function encode(conf, entries, batch_max_size)
    if conf.concat_method == "new_line" and batch_max_size ~= 1 then
        return encode_lines(entries)
    end
    return logger.encode(entries, batch_max_size)
end

-- What processes the batches of this configuration: function(entries, batch_max_size) -> true, or false, err.
function _M.new(conf)
    local target = post.parse(conf.uri)
    return function(entries, batch_max_size)
        local body, err = encode(conf, entries, batch_max_size)
        if not body then
            return false, "error occurred while encoding the data: " .. err
        end
        core.log.info("sending a batch logs to ", conf.uri)
        return post.send(target, conf.timeout, conf.ssl_verify, {
            ["Content-Type"] = conf.concat_method == "json" and "application/json" or "text/plain",
            ["Authorization"] = conf.auth_header,
        }, body)
    end
end

return _M
