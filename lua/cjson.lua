-- Owns the module `cjson`: JSON as OpenResty's fork of lua-cjson does it (its manual is the contract), in LuaJIT.
-- Must never itself read or write JSON; cjson.decoder and cjson.encoder do.
--
-- One thing differs on purpose: an integer beyond 63 bits decodes to the nearest double, not to the largest int64.
return require("cjson.instance").new()
