# What an author's files share: a section of its own, `lua`, is the content of /t.
package Shop;

use Test::Nginx::Socket::Lua -Base;
use Cwd ();

our @EXPORT = qw($pwd doubled);
our $pwd = Cwd::cwd();

sub doubled { return $_[0] . $_[0] }

add_block_preprocessor(sub {
    my $block = shift;
    my $lua = $block->lua;
    return if !defined $lua;
    $block->set_value(http_config => qq{lua_package_path "$pwd/lib/?.lua;$pwd/t/?.lua;;"; lua_shared_dict counts 1m;});
    $block->set_value(config => "location = /t { content_by_lua_block { $lua } }");
    $block->set_value(request => "GET /t") if !defined $block->request;
    $block->set_value(response_body => $block->respons_body) if defined $block->respons_body;
});

1;
