use Test::Nginx::Socket 'no_plan';
run_tests();

__DATA__

=== TEST 1: all that is wrong
--- config
    location = /t { content_by_lua_block { ngx.log(ngx.WARN, "about to answer") ngx.say("came") } }
--- request
GET /t
--- error_code: 201
--- response_headers
X-Wanted: yes
--- response_body
wanted
--- error_log
another line
--- no_error_log
about to

=== TEST 2: same name
--- config
    location = /t { content_by_lua_block { ngx.say("first") } }
--- request
GET /t
--- response_body
first

=== TEST 2: same name
--- request
GET /t
--- response_body
second

=== TEST 3: a worker that does not start
--- http_config
    init_by_lua_block { error("not with me") }
--- config
--- request
GET /

=== TEST 4: a worker that must not start
--- config
--- must_die

=== TEST 5: nothing comes
--- config
    location = /t { content_by_lua_block { ngx.sleep(60) } }
--- request
GET /t
--- timeout: 200ms

=== TEST 6: one value for two requests
--- config
    location = /t { content_by_lua_block { ngx.say("hello") } }
--- request eval
["GET /t", "GET /t"]
--- response_body
hello

=== TEST 7: too few values
--- request eval
["GET /t", "GET /t"]
--- response_body eval
["hello\n"]

=== TEST 8: a filter that there is not
--- request
GET /t
--- response_body roman
hello

=== TEST 9: nor this
--- request
GET /t
--- response_body_filters: roman
--- response_body
hello

=== TEST 10: nginx.conf
--- config
    location = /t {
--- request
GET /t

=== TEST 11: a variable that nobody has set
--- config
    set $a $TEST_NGINX_NOBODY;
--- request
GET /t

=== TEST 12: no request
--- config

=== TEST 13: the exit code
--- http_config
    init_by_lua_block { error("not with me") }
--- config
--- must_die: 2

=== TEST 14: the access log
--- config
    location = /t { content_by_lua_block { ngx.say("hello") } }
--- request
GET /t
--- access_log
POST

=== TEST 15: what a server was asked
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
--- tcp_query: abd
--- tcp_reply: fine
--- request
GET /t
--- response_body
fine

=== TEST 16: a pattern that Python has not
--- config
--- request
GET /t
--- error_log eval: qr/(?|a(b)|c(d))/

=== TEST 17: the same as a text
--- config
--- request
GET /
--- response_body_like: (?|a(b)|c(d))
