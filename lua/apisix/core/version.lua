-- Owns one fact: which APISIX's plugin contract floor 3 keeps. Plugins and their clients read it, so it
-- is that version and never pygw's own (pygw.__version__).
return { VERSION = "3.18.0" }
