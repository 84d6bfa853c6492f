-- Owns the name under which plugins require the router. The gateway itself does not: on a user's own Lua path this
-- name is another library, whose routes cannot come and go.
return require "radixtree"
