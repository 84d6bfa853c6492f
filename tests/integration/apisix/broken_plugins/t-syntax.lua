-- Owns a plugin that is not even Lua.
return {
