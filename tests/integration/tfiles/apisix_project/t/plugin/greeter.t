# The common shape: what one block writes, the next ones use.
use t::APISIX 'no_plan';

no_long_string();
no_root_location();
no_shuffle();

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value("request", "GET /t") if !$block->request;
});

run_tests();

__DATA__

=== TEST 1: the schema
--- config
    location /t {
        content_by_lua_block {
            local plugin = require("apisix.plugins.greeter")
            ngx.say(plugin.check_schema({ name = "Ann" }))
            ngx.say(select(2, plugin.check_schema({ name = 1 })))
        }
    }
--- response_body
true
property "name" validation failed: wrong type: expected string, got number



=== TEST 2: a route with it
--- config
    location /t {
        content_by_lua_block {
            local t = require("lib.test_admin").test
            local code, body = t("/apisix/admin/routes/1", ngx.HTTP_PUT, [[{
                "uri": "/uri",
                "plugins": { "greeter": { "name": "Ann" } },
                "upstream": { "type": "roundrobin", "nodes": { "127.0.0.1:1980": 1 } }
            }]], [[{ "value": { "plugins": { "greeter": { "name": "Ann" } } } }]])
            ngx.say(code, " ", body)
        }
    }
--- response_body
200 passed



=== TEST 3: the upstream is greeted
--- request
GET /uri
--- more_headers
X-Own: 1
--- response_body
uri: /uri
host: localhost
x-greeting: Hello, Ann
x-own: 1
x-real-ip: 127.0.0.1
--- response_headers
X-Greeted: 1



=== TEST 4: what is no configuration is refused
--- config
    location /t {
        content_by_lua_block {
            local t = require("lib.test_admin").test
            local code, body = t("/apisix/admin/routes/1", ngx.HTTP_PUT, { uri = "/uri", plugins = { greeter = {} } })
            ngx.status = code
            ngx.print(body)
        }
    }
--- error_code: 400
--- response_body
{"error_msg":"failed to check the configuration of plugin greeter err: property \"name\" is required"}



=== TEST 5: what the log must not say without being asked
--- config
    location /t {
        content_by_lua_block {
            local t = require("lib.test_admin").test
            ngx.say((t("/apisix/admin/routes/1/plugins", ngx.HTTP_PATCH,
                { greeter = { name = "Ann", refuse = true } })))
        }
    }
--- response_body
200



=== TEST 6: fails by its log alone
--- request
GET /uri
--- error_code: 403



=== TEST 7: where the line is wanted
--- request
GET /uri
--- error_code: 403
--- response_body
{"error_msg":"no greeting"}
--- error_log
refused to greet Ann
