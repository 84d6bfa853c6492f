-- Owns the pages of a region: runs of free ones, taken and given back in nginx's order (ngx_slab.c).
-- Must never know what a page is used for.
local layout = require "ngx.shdict.layout"
local rings = require "ngx.shdict.rings"

local link_first, replace, unlink = rings.link_first, rings.replace, rings.unlink
local KIND, USED, HEAD, NEXT = layout.KIND, layout.USED, layout.HEAD, layout.NEXT
local RUNS, FREE_PAGES = layout.RUNS, layout.FREE_PAGES
local WORDS = layout.DESCRIPTOR_WORDS

local _M = {}

-- Note how long a free run is, at both of its ends.
local function measure(w, run, count)
    w[run + USED] = count
    w[run + (count - 1) * WORDS + HEAD] = run
end

-- Make pages that are no run yet one, the first to be taken from.
local function add_run(w, run, count)
    measure(w, run, count)
    link_first(w, RUNS, run)
end

-- Take `count` pages that lie together. Returns the descriptor of the first, or 0. Its KIND is still to be set.
function _M.take(region, count)
    local w = region.w
    local run = w[RUNS + NEXT]
    while run ~= RUNS and w[run + USED] < count do
        run = w[run + NEXT]
    end
    if run == RUNS then
        return 0
    end
    local left = w[run + USED] - count
    if left == 0 then
        unlink(w, run)
    else
        local rest = run + count * WORDS
        measure(w, rest, left)
        replace(w, run, rest)
    end
    w[FREE_PAGES] = w[FREE_PAGES] - count
    return run
end

-- Give back `count` pages whose KIND is 0 again, and join them with free neighbours.
function _M.give(region, run, count)
    local w = region.w
    w[FREE_PAGES] = w[FREE_PAGES] + count
    local after = run + count * WORDS
    if after < region.buckets and w[after + KIND] == 0 then
        unlink(w, after)
        count = count + w[after + USED]
    end
    local before = run - WORDS
    if before >= region.descriptors and w[before + KIND] == 0 then
        run = w[before + HEAD]
        unlink(w, run)
        count = count + w[run + USED]
    end
    return add_run(w, run, count)
end

_M.add_run = add_run

return _M
