-- Owns the facade of resty.core.request: ngx.req, which is always there.
return { version = require("resty.core.base").version }
