std = "luajit"
globals = { "ngx", "ndk" }
max_line_length = 120
unused_args = false
