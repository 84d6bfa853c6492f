-- Owns the module `cjson.safe`: `cjson`, but encode and decode return nil, message instead of raising.
-- Must never differ from `cjson` in anything else.
return require("cjson.instance").new_safe()
