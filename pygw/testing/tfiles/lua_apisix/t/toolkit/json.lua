-- Owns the other name of toolkit.json, under which older test files ask for it.
return require "toolkit.json"
