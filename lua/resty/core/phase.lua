-- Owns the facade of resty.core.phase: ngx.get_phase, which is always there.
return { version = require("resty.core.base").version }
