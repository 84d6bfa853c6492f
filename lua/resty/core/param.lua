-- Owns the facade of resty.core.param: ngx.arg, which is always there.
return { version = require("resty.core.base").version }
