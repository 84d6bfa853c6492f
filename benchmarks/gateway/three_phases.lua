-- The application of the benchmark: the three things that nginx + ngx_lua does beside it.
local balancer = require "ngx.balancer"

local upstream = tonumber(os.getenv("PYGW_BENCH_UPSTREAM"))

return {
    proxy = { set_header = { { "Host", "$host" } } },
    rewrite = function()
        local _ = ngx.req.get_headers()["x-bench"]
    end,
    access = function()
        ngx.req.set_header("X-Gateway", "bench")
    end,
    balancer = function()
        balancer.set_current_peer("127.0.0.1", upstream)
    end,
    header_filter = function()
        ngx.header["X-Served-By"] = "bench"
    end,
}
