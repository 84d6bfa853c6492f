-- Owns nothing but its name: routes by path, hosts being one more condition; no parameters in paths.
-- Mirrors apisix.http.router.radixtree_uri.
return require("apisix.http.router.by_uri")(require("apisix.utils.router").new({}))
