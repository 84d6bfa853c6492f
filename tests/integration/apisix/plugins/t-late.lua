-- Owns the same as t-order, with a lower priority.
return require("t_recorder").new("t-late", 10)
