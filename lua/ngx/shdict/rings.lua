-- Owns the doubly linked rings of a region: of entries, of pages with free slots, of runs of free pages.
-- Must never know what stands in them.
--
-- The order of the stores matters: whatever moment a process dies at, whoever follows NEXT from the ring's
-- head comes to all that stand in it, but for the one that was on its way in or out.
local layout = require "ngx.shdict.layout"

local PREV, NEXT = layout.PREV, layout.NEXT

local _M = {}

function _M.init(w, ring)
    w[ring + PREV] = ring
    w[ring + NEXT] = ring
end

function _M.unlink(w, node)
    local prev, next = w[node + PREV], w[node + NEXT]
    w[prev + NEXT] = next
    w[next + PREV] = prev
end

-- Put a node that stands in no ring first.
function _M.link_first(w, ring, node)
    local first = w[ring + NEXT]
    w[node + PREV] = ring
    w[node + NEXT] = first
    w[first + PREV] = node
    w[ring + NEXT] = node
end

-- Put `new` where `old` stood.
function _M.replace(w, old, new)
    local prev, next = w[old + PREV], w[old + NEXT]
    w[new + PREV] = prev
    w[new + NEXT] = next
    w[prev + NEXT] = new
    w[next + PREV] = new
end

return _M
