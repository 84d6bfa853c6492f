-- Owns the facade of resty.core.base64: ngx.encode_base64 and its kin, which is always there.
return { version = require("resty.core.base").version }
