-- Owns the module resty.sha384: new, update, final, reset (openresty/lua-resty-string).
return require "ngx.api.digestclass" "sha384"
