-- Owns the facade of resty.core.var: ngx.var, which is always there.
return { version = require("resty.core.base").version }
