-- Owns a plugin without a schema.
return { version = 0.1, priority = 1 }
