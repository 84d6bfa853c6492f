-- Owns the module resty.core: the ngx.* API that it installs in OpenResty is always there, so it only
-- gathers the facades.
require "resty.core.base"
require "resty.core.regex"

return { version = "0.1.33" }
