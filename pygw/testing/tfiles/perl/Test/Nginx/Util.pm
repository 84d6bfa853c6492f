# Owns nothing: the name under which a specification asks for Test::Nginx::Spec, and the few variables
# and functions that it names in full.
package Test::Nginx::Util;

use Test::Nginx::Spec;

our ($UseHttp2, $UseHttp3, $UseValgrind, $UseStap) = (0, 0, 0, 0);
our ($NginxVersion, $PcreVersion) = (1.027001, 1); # what blocks are told: errors are in PCRE's words
our $ErrLogFile = ($ENV{TEST_NGINX_SERVROOT} // "t/servroot") . "/logs/error.log";
Test::Nginx::Spec::into(__PACKAGE__);

sub import {
    my (undef, @list) = @_;
    Test::Nginx::Spec::into(scalar caller, @list);
    return;
}

1;
