-- Owns the facade of resty.core.coroutine: coroutine.*, which is always there.
return { version = require("resty.core.base").version }
