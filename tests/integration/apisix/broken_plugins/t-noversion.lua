-- Owns a plugin without a version.
return { priority = 1, schema = { type = "object" } }
