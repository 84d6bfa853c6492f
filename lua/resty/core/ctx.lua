-- Owns the facade of resty.core.ctx: ngx.ctx as a function.
local ngx = ngx

local _M = { _VERSION = require("resty.core.base").version }

-- The running request's table of its own. given: the table to be it, when it has none yet.
function _M.get_ctx_table(given)
    if given and next(ngx.ctx) == nil then
        ngx.ctx = given
    end
    return ngx.ctx
end

return _M
