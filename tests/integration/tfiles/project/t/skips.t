use Test::Nginx::Socket 'no_plan';
run_tests();

__DATA__

=== TEST 1: marked
--- config
--- SKIP

=== TEST 2: by code
--- skip_eval: 3: $^O eq 'linux'

=== TEST 3: old nginx alone
--- skip_nginx: 2: > 1.2.3: too new

=== TEST 4: two versions
--- skip_nginx2: 2: < 1.2.3 or >= 1.27.0

=== TEST 5: OpenSSL
--- skip_openssl: 2: > 1.1.1h

=== TEST 6: to be done
--- todo: 2: when there is time

=== TEST 7: to be done in newer ones
--- todo_nginx: >= 1.20.0

=== TEST 8: nginx's streams
--- stream_server_config
    content_by_lua_block { ngx.say("hello") }
--- stream_response
hello

=== TEST 9: HTTP/2
--- http2
--- config
--- request
GET /

=== TEST 10: Perl code as a section
--- tcp_listen: 1
--- tcp_reply eval
sub { return shift }

=== TEST 11: a directive of nobody's
--- config
    perl_set $a 'sub {}';
--- request
GET /t

=== TEST 12: versions that do not skip, sections without a meaning
--- config
    location = /t { content_by_lua_block { ngx.say("ran") } }
--- request
GET /t
--- response_body
ran
--- skip_nginx: 2: < 1.2.3
--- skip_nginx2: 2: < 1.2.3 and >= 1.0.0
--- skip_openssl: 2: < 1.1.1
--- todo_nginx: < 1.2.3
--- skip_eval: 3: $^O ne 'linux'
--- stap
F(ngx_http_finalize_request) {}
--- stap_out
finalize
--- curl
--- no_check_leak
--- suppress_stderr
--- no_http2
