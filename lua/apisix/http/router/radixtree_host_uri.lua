-- Owns nothing but its name: routes by host, then by path. The default.
-- Mirrors apisix.http.router.radixtree_host_uri.
return require("apisix.http.router.by_uri")(require("apisix.http.router.hosts")())
