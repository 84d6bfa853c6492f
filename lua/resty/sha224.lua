-- Owns the module resty.sha224: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "sha224"
