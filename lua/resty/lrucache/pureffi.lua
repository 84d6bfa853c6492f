-- Owns the name resty.lrucache.pureffi. The original offers two implementations of one API for two kinds of
-- load; ours serves both, so this must never grow code of its own. new(size, load_factor) ignores the latter.
return require "resty.lrucache"
