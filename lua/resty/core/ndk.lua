-- Owns the facade of resty.core.ndk: ndk.set_var, which is always there.
return { version = require("resty.core.base").version }
