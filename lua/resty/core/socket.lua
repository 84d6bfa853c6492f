-- Owns the facade of resty.core.socket: ngx.socket, which is always there.
return { version = require("resty.core.base").version }
