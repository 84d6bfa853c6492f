-- Owns the module resty.sha256: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "sha256"
