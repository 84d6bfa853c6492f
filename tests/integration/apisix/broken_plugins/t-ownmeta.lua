-- Owns a plugin that wants the host's "_meta" for itself.
return { version = 0.1, priority = 1, schema = { type = "object", properties = { _meta = { type = "string" } } } }
