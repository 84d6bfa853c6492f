-- Waits for 10 ms: the twin of py-block.
return {
    version = 0.1, priority = 10, name = "lua-block", schema = { type = "object" },
    access = function()
        ngx.sleep(0.01)
    end,
}
