# Owns what `use t::APISIX` means: a file whose blocks run in a whole gateway. What stands around a block is made
# from the dump, when the file's own preprocessors have run.
package t::APISIX;

use strict;
use warnings;

use Test::Nginx::Socket::Lua::Stream -Base;

$Test::Nginx::Spec::Setting{apisix} = 1;
log_level('info');
no_root_location();
$ENV{TEST_NGINX_HTML_DIR} ||= html_dir();

1;
