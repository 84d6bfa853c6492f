"""Owns which sections of Test::Nginx there are, and what becomes of each.

docs/test-nginx-files.md tells it to authors. Must never read what a section says.
A name that stands nowhere here is an author's own: Test::Nginx takes no notice of it, nor do we.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# They make the server and its requests, or judge what comes back.
_SUPPORTED = """
config http_config main_config post_main_config server_name log_level error_log_file user_files
request request_eval pipelined_requests raw_request raw_request_middle_delay more_headers
timeout abort shutdown server_addr_for_client wait
error_code error_code_like ignore_response charset
response_headers response_headers_like raw_response_headers_like raw_response_headers_unlike
response_body response_body_eval response_body_like response_body_unlike
response_body_filters response_body_json_sort
error_log no_error_log grep_error_log grep_error_log_out
shutdown_error_log no_shutdown_error_log access_log no_access_log must_die
tcp_listen tcp_reply tcp_reply_delay tcp_no_close tcp_shutdown tcp_shutdown_delay
tcp_query tcp_query_len tcp_query_auto_timeout
udp_listen udp_reply udp_reply_delay udp_query
SKIP ONLY LAST skip_eval skip_nginx skip_nginx2 skip_openssl todo todo_nginx
"""
SUPPORTED = frozenset(_SUPPORTED.split())

# They make the gateway of a file that says `use t::APISIX`.
_OF_APISIX = """
yaml_config extra_yaml_config apisix_yaml apisix_json debug_config
init_by_lua_block extra_init_by_lua extra_init_by_lua_start extra_init_worker_by_lua
upstream_server_config exec stdin max_size ignore_error_log
"""
OF_APISIX = frozenset(_OF_APISIX.split())

_SYSTEMTAP = "SystemTap looks into nginx's own code; Test::Nginx, too, does without unless told"
_CURL = "is for the curl that sends HTTP/2 and HTTP/3"

# They change nothing of what a block says of the code under test.
IGNORED = {
    "stap": _SYSTEMTAP,
    "stap_out": _SYSTEMTAP,
    "stap_out_like": _SYSTEMTAP,
    "stap_out_unlike": _SYSTEMTAP,
    "no_check_leak": "is of a mode that measures nginx's memory",
    "no_http2": "blocks are sent by HTTP/1.1 anyway",
    "no_http3": "blocks are sent by HTTP/1.1 anyway",
    "quic_max_idle_timeout": "is of HTTP/3, when all blocks are run by it",
    "curl": "prints a command line for people",
    "curl_options": _CURL,
    "curl_protocol": _CURL,
    "curl_error": _CURL,
    "no_mockeagain": "is of a library that is loaded into nginx",
    "suppress_stderr": "what the worker says stands in its error log",
    "skip_slave": "names machines of OpenResty's own",
}

_STREAM = "nginx's stream subsystem"
_PERL = "Perl code that changes the server's directory"

# A block that has one of these does not run.
SKIPPED = {
    "http2": "HTTP/2",
    "http3": "HTTP/3",
    "http09": "HTTP/0.9",
    "stream_config": _STREAM,
    "stream_server_config": _STREAM,
    "stream_server_config2": _STREAM,
    "stream_server_config3": _STREAM,
    "stream_enable": _STREAM,
    "stream_conf_enable": _STREAM,
    "stream_tls_request": _STREAM,
    "stream_request": _STREAM,
    "stream_request2": _STREAM,
    "stream_request3": _STREAM,
    "stream_response": _STREAM,
    "stream_response_like": _STREAM,
    "steam_listen_option": _STREAM,
    "steam_listen_option2": _STREAM,
    "steam_listen_option3": _STREAM,
    "log_stream_response": _STREAM,
    "dgram_config": _STREAM,
    "dgram_server_config": _STREAM,
    "dgram_server_config2": _STREAM,
    "dgram_server_config3": _STREAM,
    "dgram_request": _STREAM,
    "dgram_request2": _STREAM,
    "dgram_request3": _STREAM,
    "dgram_response": _STREAM,
    "dgram_response_like": _STREAM,
    "log_dgram_response": _STREAM,
    "init": _PERL,
    "post_setup_server_root": _PERL,
    "reload_fails": "HUP of nginx itself",
    "write_resp_body_file": "it judges nothing",
}

_KNOWN = [*SUPPORTED, *OF_APISIX, *IGNORED, *SKIPPED]
_ALIKE = 0.9  # of difflib: two letters more, less or other in some twenty


def misspelt(names: Iterable[str]) -> list[tuple[str, str]]:
    """Those of names that nobody knows, each with the known one it is nearly.

    A digit at the end makes a name an author's own: `more_headers2`.
    """
    found = []
    for name in names:
        if name in _KNOWN or name[-1].isdigit():
            continue
        if close := difflib.get_close_matches(name, _KNOWN, 1, _ALIKE):
            found.append((name, close[0]))
    return found
