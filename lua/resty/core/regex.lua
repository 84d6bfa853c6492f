-- Owns the facade of resty.core.regex: plugins call re_match_compile to find out whether a regex is
-- valid. What it returns is only to be tested for nil.
local cache = require "ngx.api.regexcache"

local _M = { version = "0.1.33" }

-- re_match_compile(regex, options?) -> compiled | nil, error
function _M.re_match_compile(regex, options)
    local compiled, err = cache.lookup(regex, options, 2)
    if not compiled then
        return nil, err
    end
    compiled.held = true
    return compiled
end

_M.is_regex_cache_empty = cache.is_empty

-- Nothing to set: buffers grow by themselves.
function _M.set_buf_grow_ratio() end

return _M
