-- Owns a plugin that wants the upstream to be spoken to by TLS.
return {
    version = 0.1, priority = 1, name = "t-secure", schema = { type = "object" },
    check_schema = function() return true end,
    rewrite = function(_, ctx) ctx.upstream_scheme = "https" end,
}
