-- Owns the entry of shared dictionaries in the global `ngx`: ngx.shared. Dictionaries themselves are
-- declared and served by ngx.shdict; this file must hold no behaviour.
return { shared = require("ngx.shdict").shared }
