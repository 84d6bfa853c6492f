-- Owns the module `resty.template.safe`: templates whose functions return nil and an error text instead of raising.
return require("resty.template").new(true)
