-- Owns the facade of resty.core.worker: ngx.worker, which is always there.
return { _VERSION = require("resty.core.base").version }
