# Owns nothing: the name under which a specification asks for Test::Nginx::Spec.
package Test::Nginx::Socket::Lua::Dgram;

use Test::Nginx::Spec;

sub import {
    my (undef, @list) = @_;
    Test::Nginx::Spec::into(scalar caller, @list);
    return;
}

1;
