-- Owns the same as t-order, as a global rule only where the route has not got it.
local plugin = require("t_recorder").new("t-once", 5)
plugin.run_policy = "prefer_route"
return plugin
