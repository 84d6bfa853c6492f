-- Owns the marks by which plugins tell APISIX's runtime from a plain OpenResty. Source: apisix-nginx-module,
-- resty.apisix.patch.
return {
    client_cert_verified_in_handshake = true, -- a client's certificate is checked before any phase of a request
}
