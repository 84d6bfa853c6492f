-- Owns thread.exdata.
return require "thread.slot" "exdata"
