-- Owns the Lua side of a checker (pygw/vm/checker.py): an application that loads the plugins, serves no
-- request and answers what Python asks. Must never watch the store or start a timer of its own.
local bridge = require "server.bridge"
local core = require "apisix.core"

local concat = table.concat
local error = error
local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local require = require
local tostring = tostring
local traceback = debug.traceback
local xpcall = xpcall

-- A question that fn answers with one value. An error in a plugin goes to the log with its traceback, and to
-- Python as its message.
local function answering(what, fn)
    return function(...)
        local ok, answer = xpcall(fn, function(err)
            core.log.error(what, " failed: ", traceback(tostring(err)))
            return err
        end, ...)
        if not ok then
            error(answer, 0)
        end
        return answer
    end
end

local function offer(what, functions)
    for name, fn in pairs(functions) do
        bridge.entries[name] = answering(what, fn)
    end
end

local function init_worker()
    local plugin = require "apisix.plugin"
    plugin.add_source(require("server.python_objects").list)
    plugin.load()
    local metadata = require "apisix.admin.known_metadata"
    plugin.plugin_metadatas = metadata
    local check = require "apisix.admin.check"
    local reload = require "apisix.plugin.reload"
    bridge.entries.check = answering("checking a configuration", function(resource, id, text, known)
        local conf, err = core.json.decode(text)
        if err then
            return err
        end
        metadata.begin(known and core.json.decode(known))
        return check(resource, id, conf)
    end)
    bridge.entries.asked_metadata = answering("checking a configuration", function()
        return concat(metadata.asked(), "\n")
    end)
    bridge.entries.reload = answering("reloading plugins", function()
        reload.run()
        return reload.directories()
    end)
    bridge.entries.load_plugins = answering("loading plugins", function(names)
        local item = { value = {} }
        for i, name in ipairs(core.json.decode(names)) do
            item.value[i] = { name = name }
        end
        reload.run()
        plugin.load(item)
    end)
    offer("describing", require "apisix.admin.describe")
    offer("encrypting or decrypting", require "apisix.admin.secrecy")
end

local function content()
    return ngx.exit(404)
end

return { init_worker = init_worker, content = content }
