-- Owns the facade of resty.core.exit: ngx.exit, which is always there.
return { version = require("resty.core.base").version }
