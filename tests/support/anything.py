"""What hypothesis sends to an Admin API: noise, and documents that are nearly right."""

from __future__ import annotations

import json

from hypothesis import strategies as st

UPSTREAM = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}
KEYS = {"key-auth": {"key": "k"}}
LIMIT = {"limit-count": {"count": 1, "time_window": 60, "rejected_code": 503}}

# Names and values that mean something somewhere: what is nearly right goes further than noise.
_NAMES = """
id name uri uris host hosts methods vars plugins upstream upstream_id service_id
plugin_config_id labels status priority filter_func script remote_addr remote_addrs timeout
enable_websocket type nodes checks tls client_cert_id client_cert client_key hash_on key
retries pass_host upstream_host scheme username group_id desc cert certs keys snis sni
ssl_protocols client ca content protocol create_time update_time limit-count key-auth traffic-split
rules weighted_upstreams count _meta filter disable token prefix active passive healthy
http_path unhealthy discovery_type
"""
FIELDS = st.sampled_from(_NAMES.split())
WORDS = st.sampled_from(
    [
        "",
        "1",
        "x",
        "/x",
        "/*",
        "roundrobin",
        "chash",
        "vars",
        "GET",
        "127.0.0.1",
        "return {}",
        "a" * 300,
    ]
    + [
        "function(vars) return true end",
        "function(",
        "error('x')",
        "{",
        "[",
        "%",
        "\x00",
        "\u00e9",
        "..",
        "$env://X",
    ]
    + [
        "-----BEGIN CERTIFICATE-----",
        "$secret://vault/1/x",
        "syntax = 'proto3';",
        "==",
        "~~",
        "[",
        "(?<",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 80, 65536, 2**31, 2**53 + 1, 2**64, -(10**30), 0.5, -1e300])
PARTS = st.sampled_from([UPSTREAM, KEYS, LIMIT, {}, [], {"127.0.0.1:80": 1}, [["uri", "==", "x"]]])
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, PARTS, st.text(max_size=5))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(FIELDS, FIELDS, WORDS), inner, max_size=6),
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(FIELDS, VALUES, max_size=8)
ALMOST = st.one_of(
    OBJECTS.map(lambda more: {"uri": "/x", "upstream": UPSTREAM, **more}),
    OBJECTS.map(lambda more: {**UPSTREAM, **more}),
    OBJECTS.map(lambda more: {"username": "x", "plugins": KEYS, **more}),
    st.dictionaries(FIELDS, VALUES, max_size=4).map(lambda more: {"plugins": {**LIMIT, **more}}),
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.one_of(OBJECTS, ALMOST, VALUES).map(lambda value: json.dumps(value).encode()),
)
IDS = st.one_of(
    st.sampled_from(
        ["1", "", "x/credentials/1", "x/graphql_cost_decorations/1", "vault/1", "t-count"]
    ),
    st.text(max_size=6),
)
METHODS = st.sampled_from(["GET", "PUT", "PUT", "POST", "PATCH", "DELETE"])
QUERIES = st.dictionaries(
    st.sampled_from(["ttl", "force", "page", "page_size", "name", "uri", "label", "filter"]),
    st.one_of(WORDS, NUMBERS.map(str), st.sampled_from(["true", "nan", "inf", "("])),
    max_size=3,
)
