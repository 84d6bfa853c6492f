-- Owns thread.exdata2.
return require "thread.slot" "exdata2"
