-- Owns reading whole files. Blocks: for configuration-sized files only. Mirrors apisix.core.io.
local open = io.open

local _M = {}

-- file_name: absolute, or relative to the working directory. Returns the content, or nil, err.
function _M.get_file(file_name)
    local file, err = open(file_name, "rb")
    if not file then
        return nil, err
    end
    local content
    content, err = file:read("*a")
    file:close()
    if not content then
        return nil, err
    end
    return content
end

return _M
