-- Owns the module resty.core: the ngx.* API that it installs in OpenResty is always there, so it only
-- gathers the facades.
for _, name in ipairs {
    "base", "base64", "coroutine", "ctx", "exit", "hash", "misc", "ndk", "param", "phase", "regex", "request",
    "response", "shdict", "socket", "time", "uri", "utils", "var", "worker",
} do
    require("resty.core." .. name)
end

return { version = require("resty.core.base").version }
