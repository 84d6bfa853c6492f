use Test::Nginx::Socket 'no_plan';
filters { response_body => 'chomp' };
set_http_config_filter(sub { my $text = shift; $text =~ s/SIZE/1m/; $text });
run_tests();

__DATA__

=== TEST 1: a filter for the configuration, one for all sections of a name
--- http_config
    lua_shared_dict counts SIZE;
--- config
    location = /t { content_by_lua_block { ngx.print("none of ", ngx.shared.counts:capacity()) } }
--- request
GET /t
--- response_body
none of 1048576
--- LAST

=== TEST 2: not this
--- config
--- request
GET /none
