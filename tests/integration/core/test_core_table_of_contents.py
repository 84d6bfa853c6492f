"""apisix.core as a whole: every function that a stock plugin calls is there."""

import re
from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]

# module: functions and fields, as the plugins of APISIX 3.18 use them.
USED = """
log: error info warn debug notice delay_exec emerg alert crit new
schema: check TYPE_METADATA TYPE_CONSUMER uri_def host_def ip_def method_schema valid
json: encode decode delay_encode array_mt canonical_encode stably_encode
request: header get_body set_header get_method headers get_uri_args get_json_request_body_table
request: get_remote_client_ip set_uri_args get_host get_scheme add_header get_http_version get_ip
request: get_port get_post_args get_remote_client_port get_request_body_table
table: insert try_read_attr concat clone deepcopy new insert_tail array_find clear isarray isempty
table: deep_eq sort merge nkeys set patch pick set_eq setmt__gc remove
utils: check_https check_tls_bool resolve_var gethostname parse_addr parse_ipv4 parse_ipv6
utils: uri_safe_encode escape_uri_control_chars sleep validate_header_value generate_uuid_v7
utils: resolve_var_with_captures set_var_rate_limiting_info split_uri validate_header_field
utils: dns_parse get_resolver set_resolver get_seed_from_urandom
response: set_header add_header exit get_response_source hold_body_chunk say
response: clear_header_as_body_modified exit_insert_callback get_upstream_status
response: set_response_source get_last_upstream_token
lrucache: new plugin_ctx plugin_ctx_id global init_worker
string: find has_prefix compress_script decode_args format encode_args has_suffix
string: sub byte rfind_char
config: local_conf new type
tablepool: fetch release
ip: create_ip_matcher validate_cidr_or_ip
etcd: get server_version set atomic_set push delete rmdir keepalive get_format
version: VERSION
id: get gen_uuid_v4 init
resolver: parse_domain parse_domain_all init_resolver
event: CONST register unregister push
config_util: iterate_values parse_time_unit
os: setenv waitpid usleep
ctx: register_var set_vars_meta release_vars
io: get_file
env: get fetch_by_uri init
math: gcd
timer: new
data_encryption: encrypt decrypt aes_cbc_encrypt aes_cbc_decrypt init_iv_tbl
pubsub: new on wait
dns_client: new RETURN_ALL
"""

APP = """
local core = require("apisix.core")
return {
    content = function()
        local module, name = ngx.var.arg_m, ngx.var.arg_f
        ngx.print(type(core[module] and core[module][name]), " ", type(core.sleep))
    end,
}
"""


def test_everything_that_plugins_use_is_there(gateway: Start) -> None:
    gw = gateway(APP)
    missing = []
    for module, names in re.findall(r"^(\w+): (.*)$", USED, re.MULTILINE):
        for name in names.split():
            if gw.request(f"/?m={module}&f={name}").body.startswith("nil"):
                missing.append(f"{module}.{name}")
    assert missing == []
    assert gw.request("/").body == "nil function"
