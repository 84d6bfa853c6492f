use Test::Nginx::Socket 'no_plan';
run_tests();

__DATA__

=== TEST 1: headers of the request and of the response
--- config
    location = /t {
        content_by_lua_block {
            ngx.header.X_Seen = ngx.var.http_x_shown
            ngx.say(ngx.var.host, " ", ngx.var.http_connection)
        }
    }
--- request
GET /t
--- more_headers
X-Shown: it
--- response_headers
X-Seen: it
! X-Hidden
--- response_headers_like
Content-Type: text/.*
--- raw_response_headers_like: X-Seen: it\r\n
--- raw_response_headers_unlike: X-Hidden
--- response_body
localhost close

=== TEST 2: the config of the block before
--- request
GET /t
--- response_body_like
^local\w+ close$
--- response_body_unlike: nothing
--- error_code_like: ^20

=== TEST 3: several requests, lists for each
--- config
    location = /t {
        content_by_lua_block {
            ngx.req.read_body()
            ngx.status = tonumber(ngx.var.arg_status)
            ngx.say(ngx.req.get_method(), " ", ngx.req.get_body_data(), " ", ngx.var.http_x_number)
        }
    }
--- request eval
["GET /t?status=201", ["POST /t?sta", {value => "tus=202\nbo", delay_before => 0.05}, "dy"]]
--- more_headers eval
["X-Number: one", "X-Number: two"]
--- error_code eval
[201, 202]
--- response_body eval
["GET nil one\n", qr/^POST body two$/]

=== TEST 4: pipelined
--- config
    location = /t { content_by_lua_block { ngx.say(ngx.var.arg_n, " ", ngx.var.http_connection) } }
--- pipelined_requests eval
["GET /t?n=1", "GET /t?n=2"]
--- response_body eval
["1 keep-alive\n", "2 close\n"]

=== TEST 5: raw, in pieces
--- config
    location = /t { content_by_lua_block { ngx.say(ngx.req.raw_header(true)) } }
--- raw_request eval
["GET /t HTTP/1.1\r\nHo", "st: raw\r\nConnection: close\r\n\r\n"]
--- raw_request_middle_delay: 20ms
--- response_body eval
"Host: raw\r\nConnection: close\r\n\r\n\n"

=== TEST 6: old spellings
--- config
    location = /t { content_by_lua_block { ngx.say(ngx.var.arg_a) } }
--- request_eval
"GET /t?a=" . 6 * 7
--- response_body_eval
42 . "\n"

=== TEST 7: files, with their times
--- config
    location = /list { content_by_lua_file html/list.lua; }
--- user_files
>>> list.lua
ngx.say(io.open("$TEST_NGINX_HTML_DIR/sub/b.txt"):read("*a"))
>>> sub/b.txt 200001020304.05
of the sub
--- request eval
["GET /list", "GET /sub/b.txt"]
--- response_body eval
["of the sub\n\n", "of the sub\n"]
--- response_headers eval
["", "Last-Modified: Sun, 02 Jan 2000 03:04:05 GMT"]

=== TEST 8: a client that gives up, whose response is nobody's
--- config
    location = /t { content_by_lua_block { ngx.sleep(1) ngx.say("late") } }
--- request
GET /t
--- timeout: 50ms
--- abort
--- ignore_response

=== TEST 9: bodies are changed, then compared
--- config
    location = /t { content_by_lua_block { ngx.print('{"b": 1.50,"a":["é"]}') } }
--- request
GET /t
--- response_body_json_sort
--- response_body
{"a":["é"],"b":1.5}

=== TEST 10: filters in their order, for each request
--- config
    location = /t { content_by_lua_block { ngx.print("Abc") } }
--- request eval
["GET /t", "GET /t", "GET /t"]
--- response_body_filters eval
[["uc", "lcfirst"], ["md5_hex", "length"], ["sha1_hex"]]
--- response_body eval
["aBC", "32", "915858afa2278f25527f192038108346164b47f2"]

=== TEST 11: one filter for all
--- config
    location = /t { content_by_lua_block { ngx.print(ngx.var.arg_text) } }
--- request eval
["GET /t?text=Abc", "GET /t?text=x"]
--- response_body_filters: md5_hex length
--- response_body eval
[32, "32"]

=== TEST 12: a charset
--- config
    location = /t { content_by_lua_block { ngx.print("caf\233\n") } }
--- request
GET /t
--- charset: iso-8859-1
--- response_body
café
