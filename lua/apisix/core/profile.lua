-- Owns where configuration files are: under conf/ of the working directory, with the profile of the
-- environment variable APISIX_PROFILE in their names. Mirrors apisix.core.profile.
local open = io.open

local _M = {
    version = 0.1,
    profile = os.getenv("APISIX_PROFILE") or "",
    apisix_home = ngx.config.prefix() or "",
}

-- "config" -> "<home>conf/config.yaml", or "<home>conf/config-<profile>.yaml".
function _M:yaml_path(file_name)
    local path = self.apisix_home .. "conf/" .. file_name
    if self.profile ~= "" and file_name ~= "config-default" then
        path = path .. "-" .. self.profile
    end
    return path .. ".yaml"
end

-- The file that names the configuration file given on the command line.
function _M:customized_yaml_index()
    return self.apisix_home .. "/conf/.customized_config_path"
end

-- The path that this file names, or nil.
function _M:customized_yaml_path()
    local file = open(self:customized_yaml_index(), "rb")
    if not file then
        return nil
    end
    local path = file:read("*a")
    file:close()
    return path
end

return _M
