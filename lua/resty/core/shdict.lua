-- Owns the facade of resty.core.shdict: ngx.shared, which is always there.
return { version = require("resty.core.base").version }
