-- Owns the module resty.sha1: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "sha1"
