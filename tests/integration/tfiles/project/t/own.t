# How authors lay out their files: a module in t/lib, Lua beside it and in lib/, variables.
use lib 't/lib';
use Shop;

repeat_each(2);
plan tests => repeat_each() * 2 * blocks();
$ENV{TEST_NGINX_SHOP} = 'corner';
log_level('info');
workers(1);
no_long_string();
no_shuffle();
run_tests();

__DATA__

=== TEST 1: modules of lib/ and of t/, a variable of the file's
--- lua
require("shop.counter").count("a")
ngx.say(require("beside").name, " at the $TEST_NGINX_SHOP")
--- response_body
beside at the corner

=== TEST 2: each repetition has the same server
--- lua
ngx.log(ngx.WARN, "count: ", require("shop.counter").count("a"))
--- grep_error_log eval: qr/count: \d+/
--- grep_error_log_out eval
["count: 1\n", "count: 2\n"]

=== TEST 3: a filter of the module, a section that its preprocessor knows
--- lua
ngx.print("ab\nab\n")
--- respons_body doubled
ab

=== TEST 4: a section that is nearly one
--- lua
ngx.say("whatever")
--- reponse_body
this

=== TEST 5: a section of nobody's
--- lua
ngx.say("whatever")
--- remark
as they say
--- more_headers2
X: y

=== TEST 6: a plugin beside, with what plugins require
--- lua
local plugin = dofile("plugins/greeter.lua")
local ok, err = plugin.check_schema({})
ngx.say(ok, " ", err)
local status, body = plugin.access({ name = "Ann" })
ngx.say(status, " ", body.greeting)
--- response_body
false property "name" is required
200 Hello, Ann

=== TEST 7: a module that LUA_PATH names
--- lua
ngx.say(require("named").by)
--- response_body
LUA_PATH
