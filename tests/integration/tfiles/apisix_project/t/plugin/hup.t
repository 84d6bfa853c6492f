# Shared dictionaries outlive blocks where the file asks for HUP.
BEGIN {
    $ENV{TEST_NGINX_USE_HUP} = 1;
}
use t::APISIX 'no_plan';

run_tests();

__DATA__

=== TEST 1: written
--- config
    location /t {
        content_by_lua_block { ngx.say((ngx.shared.test:incr("n", 1, 0))) }
    }
--- request
GET /t
--- response_body
1



=== TEST 2: still there
--- config
    location /t {
        content_by_lua_block { ngx.say((ngx.shared.test:incr("n", 1, 0))) }
    }
--- request
GET /t
--- response_body
2
