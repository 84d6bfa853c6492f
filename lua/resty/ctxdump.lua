-- Owns the handing over of ngx.ctx across an internal redirect: a number stands for it, which is good once.
-- Source: lua-resty-ctxdump.
local ngx = ngx
local tonumber = tonumber

local _M = {}

local stashed, last = {}, 0

-- Keep ngx.ctx. Returns its number.
function _M.stash_ngx_ctx()
    last = last + 1
    stashed[last] = ngx.ctx
    return last
end

-- The table that was kept under a number (or its text), which is good no more; nil and an error text for a bad one.
function _M.apply_ngx_ctx(number)
    number = tonumber(number)
    if not number or number <= 0 then
        return nil, "bad ref value"
    end
    local ctx = stashed[number]
    stashed[number] = nil
    return ctx
end

return _M
