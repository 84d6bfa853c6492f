use Test::Nginx::Socket 'no_plan';
run_tests();

__DATA__

=== TEST 1: a timer, and what it left in a shared dictionary
--- http_config
    lua_shared_dict counts 1m;
--- config
    location = /t {
        content_by_lua_block {
            ngx.timer.at(0.05, function(_, name) ngx.log(ngx.NOTICE, "expired: ", name) ngx.shared.counts:set("done", 1) end, "it")
            ngx.say(ngx.shared.counts:get("done"))
        }
    }
--- request
GET /t
--- response_body
nil
--- error_log eval
["expired: it", qr/\[notice\] .*context: ngx\.timer/]
--- no_error_log
[error]
[alert]

=== TEST 2: only lines of the last request count
--- config
    location = /t { content_by_lua_block { ngx.log(ngx.ERR, ngx.var.arg_text) } }
--- request eval
["GET /t?text=same", "GET /t?text=same"]
--- error_log
same

=== TEST 3: what is grepped
--- config
    location = /t { content_by_lua_block { for i = 1, 3 do ngx.log(ngx.ERR, "step ", i) end } }
--- request
GET /t
--- grep_error_log eval: qr/step \d/
--- grep_error_log_out
step 1
step 2
step 3

=== TEST 4: a level of its own
--- config
    location = /t { content_by_lua_block { ngx.log(ngx.INFO, "quiet") ngx.log(ngx.ERR, "loud") } }
--- log_level: warn
--- request
GET /t
--- error_log
loud
--- no_error_log
quiet

=== TEST 5: the worker's end
--- http_config
    exit_worker_by_lua_block { ngx.log(ngx.ERR, "bye") }
--- config
    location = /t { content_by_lua_block { ngx.log(ngx.ERR, "hello") } }
--- request
GET /t
--- no_error_log
bye
--- shutdown_error_log
bye
--- no_shutdown_error_log
hello

=== TEST 6: a server that must not start
--- http_config
    init_by_lua_block { error("not with me") }
--- config
--- must_die: 1
--- error_log
not with me

=== TEST 7: the access log
--- config
    location = /t { content_by_lua_block { ngx.say("hello") } }
--- request
GET /t?a=%22"
--- more_headers
User-Agent: tester
--- access_log eval
["GET /t", qr{^127\.0\.0\.1 - - \[\d+/\w+/\d+:[0-9: +]+\] "GET /t\?a=%22\\x22 HTTP/1\.1" 200 \d+ "-" "tester"$}]
--- no_access_log
POST

=== TEST 8: its formats, conditions, and what log_by_lua adds
--- http_config
    log_format mine escape=json '{"shop":"$shop",' '"none":"$http_x_none"}';
    log_format plain escape=none $shop;
--- config
    set $shop before;
    access_log logs/access.log mine if=$arg_log;
    access_log logs/access.log plain if=$arg_log;
    location = /t {
        content_by_lua_block { ngx.location.capture("/sub?log=1") }
        log_by_lua_block { ngx.var.shop = 'the "corner"' }
    }
    location = /sub { content_by_lua_block { ngx.say("sub") } }
--- request eval
["GET /t?log=1", "GET /t?log=0"]
--- access_log eval
['{"shop":"the \"corner\"","none":""}', qr/^the "corner"$/]
--- no_access_log eval
[qr/before/]

=== TEST 9: no access log
--- config
    access_log off;
    location = /t { content_by_lua_block { ngx.say("hello") } }
--- request
GET /t
--- no_access_log
GET

=== TEST 10: a TCP server that says when it has read enough by silence
--- config
    location = /t {
        content_by_lua_block {
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", $TEST_NGINX_RAND_PORT_1))
            sock:send("abc")
            ngx.say(sock:receive("*a"))
        }
    }
--- tcp_listen: $TEST_NGINX_RAND_PORT_1
--- tcp_query_auto_timeout: 0.5
--- tcp_query: abc
--- tcp_reply eval
["one ", "two"]
--- tcp_reply_delay: 10ms
--- request
GET /t
--- response_body
one two

=== TEST 11: a UDP server
--- config
    location = /t {
        content_by_lua_block {
            local sock = ngx.socket.udp()
            assert(sock:setpeername("127.0.0.1", $TEST_NGINX_RAND_PORT_1))
            sock:send("ping")
            ngx.say(sock:receive())
        }
    }
--- udp_listen: $TEST_NGINX_RAND_PORT_1
--- udp_query: ping
--- udp_reply: pong
--- request
GET /t
--- response_body
pong
