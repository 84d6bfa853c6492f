use Test::Nginx::Socket 'no_plan';
run_tests();

__DATA__

=== TEST 1: not this
--- config
--- request
GET /none

=== TEST 2: this
--- ONLY
--- config
--- request
GET /

=== TEST 3: nor this
--- config
--- request
GET /none
