-- Owns a plugin whose init fails.
return {
    version = 0.1, priority = 1, schema = { type = "object" },
    init = function() error("cannot begin") end,
}
