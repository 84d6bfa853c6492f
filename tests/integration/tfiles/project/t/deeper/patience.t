use Test::Nginx::Socket 'no_plan';
timeout(0.1);
run_tests();

__DATA__

=== TEST 1: as long as the file says
--- config
    location = /t { content_by_lua_block { ngx.sleep(60) } }
--- request
GET /t
--- ignore_response
