-- Owns the module ngx.resp: it is the table ngx.resp. Source: lua-resty-core, ngx.resp.
return ngx.resp
