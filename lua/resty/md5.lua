-- Owns the module resty.md5: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "md5"
