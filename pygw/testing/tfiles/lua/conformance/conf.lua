-- Owns one level of the configuration (main, http, server, location, if): its directives by name, and what it
-- inherits from the level around it.
local script = require "conformance.script"

local _M = {}

-- kind: "main", "http", "server", "location" or "if"; parent: the level around it, or nil.
function _M.new(kind, parent)
    local conf = {
        kind = kind, parent = parent, directives = {}, locations = {}, ifs = parent and parent.ifs or {},
        script = script.new(), echo = {},
    }

    -- Its own last directive of that name, or nil.
    function conf.own(name)
        local list = conf.directives[name]
        return list and list[#list]
    end

    -- The innermost level's last directive of that name, or nil.
    function conf.first(name)
        local own = conf.own(name)
        if own or not parent then
            return own
        end
        return parent.first(name)
    end

    -- The innermost level's directives of that name: a list.
    function conf.all(name)
        local list = conf.directives[name]
        if list or not parent then
            return list or {}
        end
        return parent.all(name)
    end

    -- Keep a directive under its name.
    function conf.add(name, directive)
        local list = conf.directives[name]
        if not list then
            list = {}
            conf.directives[name] = list
        end
        list[#list + 1] = directive
    end

    return conf
end

return _M
