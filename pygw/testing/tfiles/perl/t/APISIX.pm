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

# The content of a file of the checkout, such as a certificate.
sub read_file {
    my $path = shift;
    my $home = $ENV{APISIX_HOME} // '.';
    open my $in, '<', "$home/$path" or die "cannot open $path for reading: $!\n";
    local $/;
    return scalar <$in>;
}

1;
