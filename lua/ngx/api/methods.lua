-- Owns the names of the request methods that ngx.HTTP_GET, … stand for (ngx_http_request.h).
return {
    [0x0002] = "GET", [0x0004] = "HEAD", [0x0008] = "POST", [0x0010] = "PUT", [0x0020] = "DELETE",
    [0x0040] = "MKCOL", [0x0080] = "COPY", [0x0100] = "MOVE", [0x0200] = "OPTIONS",
    [0x0400] = "PROPFIND", [0x0800] = "PROPPATCH", [0x1000] = "LOCK", [0x2000] = "UNLOCK",
    [0x4000] = "PATCH", [0x8000] = "TRACE",
}
