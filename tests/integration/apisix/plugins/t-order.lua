-- Owns a plugin that records each phase that it runs in, as "<mark>.<phase>", and shows the record in the
-- response header X-Order and, once all is over, in the log.
return require("t_recorder").new("t-order", 100)
