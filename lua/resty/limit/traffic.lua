-- Owns the asking of several limiters as one (API of lua-resty-limit-traffic's resty.limit.traffic): a request that
-- one of them rejects counts in none.
local ipairs = ipairs
local max = math.max

local _M = { _VERSION = "1.0.0" }

local function take_back(limiters, keys, last)
    for i = 1, last do
        limiters[i]:uncommit(keys[i])
    end
end

-- limiters: array of objects of resty.limit.req, conn or count; keys: array, one for each. states: nil, or a table
-- that gets what each incoming() returned second. Returns the longest of the delays (seconds), or nil, err.
function _M.combine(limiters, keys, states)
    for i, limiter in ipairs(limiters) do
        local delay, err = limiter:incoming(keys[i], false)
        if not delay then
            return nil, err
        end
    end
    local longest = 0
    for i, limiter in ipairs(limiters) do
        local delay, state = limiter:incoming(keys[i], true)
        if not delay then -- another worker was faster
            take_back(limiters, keys, i - 1)
            return nil, state
        end
        longest = max(longest, delay)
        if states then
            states[i] = state
        end
    end
    return longest
end

return _M
