# Sections of APISIX's own, each once; a store that begins empty; a file of another name than the plugin's.
use t::APISIX 'no_plan';

our $Certificate = t::APISIX::read_file("t/certs/note.txt");

run_tests();

__DATA__

=== TEST 1: nothing is left of another file
--- request
GET /uri
--- error_code: 404
--- response_body
{"error_msg":"404 Route Not Found"}



=== TEST 2: a standalone configuration
--- apisix_yaml
routes:
  - uri: /hello
    plugins:
      request-id:
      mocking: {response_example: made up, with_mock_header: false}
#END
--- request
GET /hello
--- response_body chomp
made up
--- response_headers_like
X-Request-Id: .+



=== TEST 3: a plugin that config.yaml names, its attributes, an upstream of the block's own
--- extra_yaml_config
plugins: [greeter, serverless-pre-function]
plugin_attr: {greeter: {note: kept}}
--- upstream_server_config
    location /own {
        content_by_lua_block { ngx.say("own: ", ngx.var.http_x_greeting) }
    }
--- config
    location /t {
        content_by_lua_block {
            local core = require("apisix.core")
            local t = require("lib.test_admin").test
            t("/apisix/admin/routes/own", ngx.HTTP_PUT, {
                uri = "/own", plugins = { greeter = { name = "Bob" } },
                upstream = { type = "roundrobin", nodes = { ["127.0.0.1:1981"] = 1 } },
            })
            local http = require("resty.http").new()
            local res = http:request_uri("http://127.0.0.1:1984/own")
            ngx.say(core.config.local_conf().plugin_attr.greeter.note)
            ngx.print(res.body)
        }
    }
--- request
GET /t
--- response_body
kept
own: Hello, Bob



=== TEST 4: Lua at the start
--- extra_init_by_lua_start
    early = { "start" }
--- extra_init_by_lua
    early[2] = apisix ~= nil and "init"
--- extra_init_worker_by_lua
    early[3] = "worker"
--- config
    location /t {
        content_by_lua_block { ngx.say(table.concat(early, " ")) }
    }
--- request
GET /t
--- response_body
start init worker



=== TEST 5: a shell
--- exec
printf '%s ' "$APISIX_WORD"; cat
--- main_config
env APISIX_WORD=word;
--- stdin
from stdin
--- response_body chomp
word from stdin



=== TEST 6: the Control API is beside
--- request
GET /v1/schema
--- response_body_like: "greeter"|"key-auth"



=== TEST 7: a stream
--- stream_request
hello
--- stream_response
hello



=== TEST 8: a file of the project
--- config eval
"location /t { content_by_lua_block { ngx.print([[$::Certificate]]) } }"
--- request
GET /t
--- response_body
a note



=== TEST 9: a plugin whose check looks at its metadata
--- config
    location /t {
        content_by_lua_block {
            local t = require("lib.test_admin").test
            local route = {
                uri = "/hello", plugins = { ["file-logger"] = {} },
                upstream = { type = "roundrobin", nodes = { ["127.0.0.1:1980"] = 1 } },
            }
            ngx.print((select(2, t("/apisix/admin/routes/log", ngx.HTTP_PUT, route))))
            ngx.say((t("/apisix/admin/plugin_metadata/file-logger", ngx.HTTP_PUT, { path = "logs/requests.log" })))
            ngx.say((t("/apisix/admin/routes/log", ngx.HTTP_PUT, route)))
        }
    }
--- request
GET /t
--- response_body_like chomp
^.*property ."path." is not set in either the plugin conf or the metadata"}
+201
201
$
