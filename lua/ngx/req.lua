-- Owns the module ngx.req of lua-resty-core: add_header().
return { version = "0.1.33", add_header = require("ngx.api.req_headers").add_header }
