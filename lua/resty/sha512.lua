-- Owns the module resty.sha512: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "sha512"
