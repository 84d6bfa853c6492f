-- Owns the facade of resty.core.hash: ngx.md5 and its kin, which is always there.
return { version = require("resty.core.base").version }
