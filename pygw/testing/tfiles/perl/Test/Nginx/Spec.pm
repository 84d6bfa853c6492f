# Owns reading a Test::Nginx specification: the functions that its preamble calls, the Test::Base format
# of its blocks, and the dump of all as one JSON document on stdout.
# Must never start a server or judge a block: the collector does, from the dump.
package Test::Nginx::Spec;

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();

our (@Preprocessors, %Setting, %Filters, $HttpConfigFilter);
my $Repeat = 1;
my $Root = $ENV{TEST_NGINX_SERVROOT} // 't/servroot';
my $Port = $ENV{TEST_NGINX_SERVER_PORT} // 1984;
my @Blocks;

# Functions that set what the collector wants to know, under the name it has in the dump.
my %SETTER = map { $_ => 1 } qw(
    workers log_level worker_connections server_name config_preamble master_process_enabled timeout
    no_root_location use_hup check_accum_error_log
);

# Functions that concern the original's own output and processes alone.
my @WITHOUT_MEANING = qw(
    no_long_string no_diff no_shuffle no_nginx_manager add_cleanup_handler
    add_test_cleanup_handler run_test is_str is ok like use_http2 use_http3
);

my %FUNCTION = (
    repeat_each => sub { $Repeat = shift if @_; $Repeat },
    plan => sub { skip_all($_[1]) if ($_[0] // '') eq 'skip_all'; return },
    blocks => sub { load_blocks(); scalar @Blocks },
    html_dir => sub { "$Root/html" },
    server_root => sub { $Root },
    server_port => sub { $Port },
    server_port_for_client => sub { $Port },
    server_addr => sub { '127.0.0.1' },
    master_on => sub { $Setting{master_process_enabled} = 1 },
    master_off => sub { $Setting{master_process_enabled} = 0 },
    env_to_nginx => sub { push @{ $Setting{env} }, @_ },
    add_block_preprocessor => sub { unshift @Preprocessors, shift }, # the last one runs first
    bail_out => sub { skip_all("@_") },
    is_tcp_port_used => \&is_tcp_port_used,
    add_response_body_check => sub { $Setting{unsupported} = 'add_response_body_check' },
    set_http_config_filter => sub { $HttpConfigFilter = shift },
    filters => \&set_filters,
    delimiters => sub { die "other delimiters than === and --- are not supported\n" },
    run_tests => \&dump_blocks,
    (map { my $name = $_; $name => sub { $Setting{$name} = $_[0] // 1 } } keys %SETTER),
    (map { $_ => sub { } } @WITHOUT_MEANING),
);

sub is_tcp_port_used {
    my $port = shift;
    return !IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);
}

# filters { SECTION => [FILTER, ...] }: of these sections in all blocks; filters 'FILTER ...': of all sections.
sub set_filters {
    my $given = ref $_[0] eq 'HASH' ? shift : { '' => [@_] };
    while (my ($name, $value) = each %$given) {
        $Filters{$name} = [map { split } ref $value ? @$value : $value];
    }
    return;
}

sub skip_all {
    print JSON::PP->new->canonical->ascii->encode({ skip_all => shift // 'no reason' });
    exit 0;
}

# What `use Test::Nginx::Socket… LIST` does in $package.
sub into {
    my ($package, @list) = @_;
    no strict 'refs';
    *{"${package}::$_"} = $FUNCTION{$_} for keys %FUNCTION;
    base($package) if ($list[0] // '') eq '-Base';
    skip_all($list[1]) if ($list[0] // '') eq 'skip_all';
    return;
}

# A module that says `-Base` gives its users our functions and what it exports itself.
sub base {
    my $package = shift;
    no strict 'refs';
    *{"${package}::import"} = sub {
        my ($class, @list) = @_;
        my $user = caller;
        into($user, @list);
        for my $name (@{"${package}::EXPORT"}) {
            if ($name =~ /^\$(\w+)/) {
                *{"${user}::$1"} = \${"${package}::$1"};
            } else {
                *{"${user}::$name"} = \&{"${package}::$name"};
            }
        }
    };
    return;
}

sub load_blocks {
    return if @Blocks;
    open my $in, '<', $0 or die "cannot open $0: $!";
    binmode $in;
    local $/;
    my $text = <$in>;
    close $in;
    $text =~ s/\r\n/\n/g;
    my $line = ($text =~ s/\A(.*?^__(?:DATA|END)__\n)//ms) ? 1 + ($1 =~ tr/\n//) : 1;
    for my $hunk (split /^(?====\s)/m, $text) {
        push @Blocks, parse_block($hunk, $line) if $hunk =~ /\A===\s/;
        $line += ($hunk =~ tr/\n//);
    }
    return;
}

sub parse_block {
    my ($hunk, $line) = @_;
    $hunk =~ s/\A===[ \t]*(.*)\s+//;
    my $block = Test::Nginx::Spec::Block->new($1, $line);
    my (undef, @parts) = split /^--- +\(?(\w+)\)? *(.*)?\n/m, "$hunk\n";
    while (my ($name, $filters, $value) = splice @parts, 0, 3) {
        if ($filters =~ /:(\s|\z)/) {
            ($filters, $value) = split /\s*:(?:\s+|\z)/, $filters, 2;
            $value =~ s/\s+\z// if defined $value;
        }
        $block->{raw}{$name} = [$value // '', split ' ', $filters];
    }
    return $block;
}

# What `--- ONLY` and `--- LAST` leave of the blocks.
sub choose {
    my ($only) = grep { exists $_->{raw}{ONLY} } @Blocks;
    return $only if $only;
    my @chosen;
    for my $block (@Blocks) {
        push @chosen, $block;
        last if exists $block->{raw}{LAST};
    }
    return @chosen;
}

sub dump_blocks {
    load_blocks();
    @Blocks = choose();
    for my $block (@Blocks) {
        eval { $block->filter; 1 } or $block->{broken} = "$@";
    }
    my $json = JSON::PP->new->canonical->ascii->allow_nonref;
    print $json->encode({
        repeat => $Repeat + 0,
        settings => \%Setting,
        env => { map { $_ => $ENV{$_} } grep { /^TEST_NGINX_|^LUA_C?PATH$|^LD_PRELOAD$/ } keys %ENV },
        blocks => [map { $_->plain } @Blocks],
    });
    return;
}

package Test::Nginx::Spec::Block;

our $AUTOLOAD;

# The filters that specifications use; each takes and returns one value.
my %FILTER = (
    chomp => sub { my $v = shift; chomp $v; $v },
    chop => sub { my $v = shift; chop $v; $v },
    eval => \&perl,
    quoted => sub { perl('"' . shift() . '"') },
    lines => sub { [shift =~ /^.*\n?/mg] },
    unchomp => sub { shift() . "\n" },
    base64_encode => sub { require MIME::Base64; MIME::Base64::encode(shift) },
    base64_decode => sub { require MIME::Base64; MIME::Base64::decode(shift) },
);

# Code that does not compile has its error as its value, as in Test::Base.
sub perl {
    my $code = shift;
    my ($value) = do { package main; no strict; no warnings; eval $code };
    return $@ ? "$@" : $value;
}

sub new {
    my ($class, $name, $line) = @_;
    my %self = (name => $name, line => $line, raw => {}, value => {}, broken => undef, asked => {});
    return bless \%self, $class;
}

sub trim {
    my $value = shift;
    $value =~ s/\A([ \t]*\n)+//;
    $value =~ s/(?<=\n)\s*\z//;
    return $value;
}

sub filter {
    my $self = shift;
    for my $name (sort keys %{ $self->{raw} }) {
        my ($value, @filters) = @{ $self->{raw}{$name} };
        my $of = \%Test::Nginx::Spec::Filters;
        $value = trim($value);
        $value = apply($_, $value, $name) for @{ $of->{''} // [] }, @{ $of->{$name} // [] }, @filters;
        $self->{value}{$name} = $value;
    }
    $_->($self) for @Test::Nginx::Spec::Preprocessors;
    my $config = $self->{value}{http_config};
    my $filter = $Test::Nginx::Spec::HttpConfigFilter;
    $self->{value}{http_config} = $filter->($config) if $filter && defined $config;
    $self->evaluate($_) for qw(request response_body);
    return;
}

# One filter: ours, or a function of the file's, whose $_ is the value, too.
sub apply {
    my ($filter, $value, $name) = @_;
    my $own = main->can($filter);
    my $code = $FILTER{$filter} // $own // die "unknown filter '$filter' of section $name\n";
    local $_ = $value;
    return $code->($value);
}

# The old way to write `--- NAME eval`: `--- NAME_eval`.
sub evaluate {
    my ($self, $name) = @_;
    my $code = $self->{value}{"${name}_eval"} // return;
    $self->{value}{$name} = ref $code ? [map { perl($_) } @$code] : perl($code);
    return;
}

# Why the block asks to be skipped, or undef: --- SKIP, or the code of --- skip_eval, which is true.
sub skipped {
    my $self = shift;
    return 'marked SKIP' if exists $self->{raw}{SKIP};
    my $code = $self->{value}{skip_eval} // return undef;
    $code =~ s/\A\s*\d+\s*:\s*//;
    return perl($code) ? "skip_eval: $code" : undef;
}

sub set_value {
    my ($self, $name, @values) = @_;
    $self->{value}{$name} = $values[0];
    return;
}

sub name { return shift->{name} }

sub DESTROY { return }

# A section's value by its name, as preprocessors ask for it.
sub AUTOLOAD {
    my $self = shift;
    my $name = $AUTOLOAD =~ s/.*:://r;
    $self->{asked}{$name} = 1;
    return $self->{value}{$name};
}

# A value as JSON can say it: strings, lists, hashes, and regular expressions as {pattern, flags}.
sub encodable {
    my $value = shift;
    my $kind = ref $value;
    return "$value" if $kind eq '' && defined $value;
    return undef if !defined $value;
    return [map { encodable($_) } @$value] if $kind eq 'ARRAY';
    return { map { $_ => encodable($value->{$_}) } keys %$value } if $kind eq 'HASH';
    if ($kind eq 'Regexp') {
        require re;
        my ($pattern, $flags) = re::regexp_pattern($value);
        return { pattern => $pattern, flags => $flags };
    }
    return { unsupported => $kind };
}

sub plain {
    my $self = shift;
    my %sections = map { $_ => encodable($self->{value}{$_}) } keys %{ $self->{value} };
    return {
        name => $self->{name},
        line => $self->{line},
        broken => $self->{broken},
        read => [sort keys %{ $self->{asked} }],
        skipped => $self->skipped,
        sections => \%sections,
    };
}

# Its variables are named by specifications that do not load it.
require Test::Nginx::Util;

1;
