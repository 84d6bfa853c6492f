-- Owns the facade of resty.core.uri: ngx.escape_uri and ngx.unescape_uri, which is always there.
return { version = require("resty.core.base").version }
