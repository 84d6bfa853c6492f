std = "luajit"
globals = { "ngx", "ndk" }
max_line_length = 120
unused_args = false
exclude_files = { "tests/integration/apisix/broken_plugins/t-syntax.lua" } -- broken on purpose
