-- Owns nothing but its name: routes by path, with parameters (":name") in paths.
-- Mirrors apisix.http.router.radixtree_uri_with_parameter.
return require("apisix.http.router.by_uri")(require("radixtree").new({}))
