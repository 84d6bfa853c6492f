-- Owns a plugin without a priority.
return { version = 0.1, schema = { type = "object" } }
