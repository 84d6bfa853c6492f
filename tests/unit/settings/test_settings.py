"""config.yaml: APISIX's keys, merged with the defaults, typed, and refused with one message."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pygw.config.listening import has_ipv6
from pygw.config.settings import ConfigError, Listen, Settings, defaults, load, restore


@pytest.fixture
def given(tmp_path: Path) -> Any:
    """Load settings from the text of a config.yaml."""

    def settings(text: str = "", overrides: Any = None, **env: str) -> Settings:
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return load(file, overrides=overrides, env=env)

    return settings


@pytest.fixture
def refused(given: Any, tmp_path: Path) -> Any:
    """The message that refuses a config.yaml, without the directory's name."""

    def message(text: str, **env: str) -> str:
        with pytest.raises(ConfigError) as caught:
            given(text, **env)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return message


def test_without_a_file_the_defaults_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(env={})
    assert Listen("0.0.0.0", 9080) in settings.listen
    assert settings.provider == "embedded"
    assert settings.admin.listen == Listen("127.0.0.1", 9180)
    assert settings.shared_dicts["plugin-limit-count"] == 10 << 20
    assert settings.embedded_path == tmp_path / "run/store.db"
    assert settings.error_log is None
    assert settings.workers == len(os.sched_getaffinity(0))
    assert settings.warnings == ()


def test_the_defaults_pass_their_own_checks(given: Any) -> None:
    text = json.dumps(defaults())
    assert given(text).warnings == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("9081", [Listen("0.0.0.0", 9081)]),
        ("[81, 82]", [Listen("0.0.0.0", 81), Listen("0.0.0.0", 82)]),
        ("[{port: 81}]", [Listen("0.0.0.0", 81)]),
        ("[{ip: 127.0.0.2, port: 81}]", [Listen("127.0.0.2", 81)]),
        ("[{ip: '[::1]', port: 81}, 82]", [Listen("::1", 81), Listen("0.0.0.0", 82)]),
    ],
)
def test_node_listen_takes_apisix_forms(given: Any, value: str, expected: list[Listen]) -> None:
    settings = given(f"apisix: {{enable_ipv6: false, enable_control: false, node_listen: {value}}}")
    assert list(settings.listen) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node_listen: 81", [("control", "127.0.0.1:9090")]),
        ("node_listen: 0", []),
        ("node_listen: 0, control: {}", [("control", "127.0.0.1:9090")]),
        ("node_listen: 81, control: {ip: '::1', port: 5}", [("control", "[::1]:5")]),
        (
            "node_listen: 81, enable_control: false, control: {}, status: {}",
            [("status", "127.0.0.1:7085")],
        ),
    ],
)
def test_control_and_status_have_addresses(
    given: Any, text: str, expected: list[tuple[str, str]]
) -> None:
    listen = given(f"apisix: {{enable_ipv6: false, {text}}}").listen
    assert [(each.site, str(each)) for each in listen if each.site] == expected


def test_an_address_that_two_ask_for_is_refused(refused: Any) -> None:
    message = refused("apisix: {node_listen: 81, status: {port: 9090}}")
    assert "apisix.status: 127.0.0.1:9090 is given twice" in message


def test_https_is_served_where_it_is_enabled(given: Any) -> None:
    ssl = "listen: [{ip: 127.0.0.1, port: 443}], ssl_cert: a.pem, ssl_cert_key: /k/a.key"
    off = given(f"apisix: {{enable_ipv6: false, enable_control: false, ssl: {{{ssl}}}}}")
    assert [address.tls for address in off.listen] == [False]
    assert "ssl:SSL" not in off.shared_dicts
    settings = given(
        f"apisix: {{enable_ipv6: false, enable_control: false, ssl: {{enable: true, {ssl}}}}}"
    )
    assert settings.listen == (Listen("0.0.0.0", 9080), Listen("127.0.0.1", 443, tls=True))
    assert settings.tls.ssl_certificate == str(settings.base / "a.pem")
    assert settings.tls.ssl_certificate_key == "/k/a.key"
    assert settings.shared_dicts["ssl:SSL"] == 20 << 20


def test_whom_to_trust_may_be_a_file(given: Any) -> None:
    settings = given("apisix: {ssl: {ssl_trusted_certificate: conf/ca.pem}}")
    assert settings.tls.lua_ssl_trusted_certificate == str(settings.base / "conf/ca.pem")


@pytest.mark.skipif(not has_ipv6(), reason="this kernel has no IPv6")
def test_an_address_without_ip_also_listens_on_ipv6(given: Any) -> None:
    settings = given("apisix: {node_listen: 81, enable_control: false}")
    assert settings.listen == (Listen("0.0.0.0", 81), Listen("::", 81))


def test_tables_merge_lists_replace_and_null_removes(given: Any) -> None:
    settings = given(
        "deployment: {admin: {allow_admin: null, enable_admin_cors: false}}\n"
        "nginx_config: {http: {lua_shared_dict: {plugin-limit-count: 1m},"
        " custom_lua_shared_dict: {mine: 64k}}}\n"
        "plugins: [key-auth]\n"
    )
    assert settings.admin.allow == ()
    assert settings.admin.key_required
    assert settings.plugins == ("key-auth",)
    assert settings.shared_dicts["plugin-limit-count"] == 1 << 20
    assert settings.shared_dicts["mine"] == 65536
    assert settings.shared_dicts["plugin-limit-req"] == 10 << 20


def test_default_plugins_are_all_that_do_nothing_unasked(given: Any) -> None:
    plugins = given().plugins
    assert {"key-auth", "example-plugin"} < set(plugins)
    assert "server-info" not in plugins


def test_durations_and_sizes_become_numbers(given: Any) -> None:
    settings = given(
        "nginx_config: {worker_shutdown_timeout: 2m, http: {keepalive_timeout: 75s,"
        " client_max_body_size: 8m, large_client_header_buffers: 2 4k,"
        " upstream: {keepalive_timeout: 500ms}}}"
    )
    assert settings.worker_shutdown_timeout == 120
    assert settings.http.keepalive_timeout == 75
    assert settings.http.client_max_body_size == 8 << 20
    assert settings.http.client_header_size == 8192
    assert settings.http.client_header_line_size == 4096
    assert settings.http.upstream_keepalive_timeout == 0.5


@pytest.mark.parametrize(
    ("text", "provider", "lua_provider"),
    [
        ("", "embedded", "etcd"),
        ("deployment: {role_traditional: {config_provider: yaml}}", "yaml", "yaml"),
        ("deployment: {etcd: {host: ['http://h:2379']}}", "etcd", "etcd"),
        ("deployment: {etcd: {prefix: /x}}", "embedded", "etcd"),
        ("deployment: {role: data_plane}", "etcd", "etcd"),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}",
            "yaml",
            "yaml",
        ),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: json}}",
            "yaml",
            "json",
        ),
        ("deployment: {role: control_plane}", "etcd", "etcd"),
    ],
)
def test_the_provider_follows_role_and_etcd(
    given: Any, text: str, provider: str, lua_provider: str
) -> None:
    settings = given(text)
    assert settings.provider == provider
    assert settings.merged["deployment"]["config_provider"] == lua_provider


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("", True),
        ("apisix: {enable_admin: false}", False),
        ("deployment: {role: data_plane}", False),
        ("{apisix: {enable_admin: false}, deployment: {role: control_plane}}", True),
    ],
)
def test_the_admin_api_follows_the_role(given: Any, text: str, enabled: bool) -> None:
    assert given(text).admin.enabled is enabled


def test_relative_paths_start_at_the_file(given: Any, tmp_path: Path) -> None:
    settings = given(
        "nginx_config: {error_log: logs/error.log}\n"
        "pygw: {plugin_dirs: [mine, /abs], pid: p.pid}\n"
        "apisix: {extra_lua_path: 'x/?.lua;/y/?.lua;'}\n"
    )
    assert settings.error_log == tmp_path / "logs/error.log"
    assert settings.plugin_dirs == (tmp_path / "mine", Path("/abs"))
    assert settings.pid_file == tmp_path / "p.pid"
    assert settings.lua_paths == (f"{tmp_path}/x/?.lua", "/y/?.lua")


def test_lua_sees_the_whole_configuration_with_foreign_keys(given: Any) -> None:
    settings = given("plugin_attr: {mine: {deep: [1]}}\nsomething_else: {a: 1}\n")
    seen = json.loads(settings.to_json())
    assert seen["plugin_attr"]["mine"] == {"deep": [1]}
    assert seen["something_else"] == {"a": 1}
    assert seen["etcd"] == seen["deployment"]["etcd"]
    assert seen["apisix"]["node_listen"] == [9080]


def test_settings_travel_to_another_process_unchanged(given: Any) -> None:
    settings = given("apisix: {node_listen: 81}\nplugins: [a]\npygw: {plugin_dirs: [d]}\n")
    assert restore(settings.dump()) == settings


def test_overrides_win_over_the_file(given: Any) -> None:
    overrides = {
        ("apisix", "node_listen"): [{"ip": "127.0.0.1", "port": 1}],
        ("nginx_config", "worker_processes"): 3,
    }
    settings = given("apisix: {node_listen: 81, enable_control: false}\nnginx_config:\n", overrides)
    assert settings.listen == (Listen("127.0.0.1", 1),)
    assert settings.workers == 3


def test_reserved_variables_win_over_the_file(given: Any) -> None:
    settings = given(
        "nginx_config: {worker_processes: 2}",
        APISIX_DEPLOYMENT_ETCD_HOST='["http://e:1"]',
        APISIX_WORKER_PROCESSES="5",
    )
    assert (settings.etcd.host, settings.workers) == (("http://e:1",), 5)
    assert settings.provider == "etcd"


def test_a_string_from_the_environment_may_look_like_a_number(given: Any) -> None:
    settings = given(
        "deployment: {etcd: {user: root, password: '${{PW}}'}}\napisix: {node_listen: '${{P}}'}",
        PW="0123",
        P="81",
    )
    assert settings.etcd.password == "0123"
    assert settings.listen[0].port == 81


def test_dev_mode_runs_one_worker(given: Any) -> None:
    text = "apisix: {enable_dev_mode: true}\nnginx_config: {worker_processes: 4}"
    assert given(text).workers == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "apisix:\n  node_listen:\n    - port: abc\n",
            "config.yaml:3: apisix.node_listen[0].port: "
            'must be an integer from 0 to 65535, not "abc"',
        ),
        (
            "apisix:\n  node_listen: 70000\n",
            "config.yaml:2: apisix.node_listen: must be an integer from 0 to 65535, not 70000",
        ),
        (
            "apisix: {node_listen: true}",
            "config.yaml:1: apisix.node_listen: must be an integer from 0 to 65535, not true",
        ),
        (
            "apisix:\n  ssl: {enable: true, listen: 9080}\n",
            "config.yaml:2: apisix.ssl.listen: 0.0.0.0:9080 is given twice",
        ),
        (
            "apisix: {ssl: {ssl_protocols: 'TLSv1.2,TLSv1.3'}}",
            'config.yaml:1: apisix.ssl.ssl_protocols: must be names such as "TLSv1.2 TLSv1.3", with'
            ' spaces between, not "TLSv1.2,TLSv1.3"',
        ),
        (
            "apisix: {ssl: {ssl_cert: a.pem}}",
            "config.yaml:1: apisix.ssl.ssl_cert: is of no use without apisix.ssl.ssl_cert_key",
        ),
        (
            "apisix: {node_listen: []}",
            "config.yaml:1: apisix.node_listen: must name at least one port",
        ),
        (
            "apisix: {node_listen: [81, 81]}",
            "config.yaml:1: apisix.node_listen: 0.0.0.0:81 is given twice",
        ),
        (
            "apisix: {node_listen: [{ip: 127.0.0.1, port: 9180}]}",
            "config.yaml: deployment.admin.admin_listen: 127.0.0.1:9180 is one of"
            " apisix.node_listen",
        ),
        (
            "apisix: {node_listen: [{ip: localhost, port: 1}]}",
            'config.yaml:1: apisix.node_listen[0].ip: must be an IP address, not "localhost"',
        ),
        (
            "apisix: {node_listen: [{ip: 127.0.0.1}]}",
            'config.yaml:1: apisix.node_listen[0]: needs the key "port"',
        ),
        (
            "apisix: {node_listen: null}",
            "config.yaml:1: apisix.node_listen: has no value: null removed the default",
        ),
        ("apisix: 5", "config.yaml:1: apisix: must be a table, not 5"),
        ("- a\n", "config.yaml: must be a table of keys, such as apisix: or deployment:"),
        (
            "deployment:\n  role_traditional:\n    config_provider: consul\n",
            "config.yaml:3: deployment.role_traditional.config_provider: "
            'must be one of embedded, etcd, yaml; not "consul"',
        ),
        (
            "deployment: {role: standalone}",
            "config.yaml:1: deployment.role: must be one of traditional, control_plane, data_plane;"
            ' not "standalone"',
        ),
        (
            "deployment: {etcd: {host: 'http://h'}}",
            'config.yaml:1: deployment.etcd.host: must be a list, not "http://h"',
        ),
        (
            "deployment: {etcd: {host: [h:1]}}",
            "config.yaml:1: deployment.etcd.host[0]: must be a URL such as"
            ' "http://127.0.0.1:2379", not "h:1"',
        ),
        (
            "deployment: {admin: {allow_admin: [localnet]}}",
            "config.yaml:1: deployment.admin.allow_admin[0]: must be an IP address or CIDR,"
            ' not "localnet"',
        ),
        (
            "nginx_config: {worker_processes: many}",
            "config.yaml:1: nginx_config.worker_processes: "
            'must be "auto" or an integer of at least 1, not "many"',
        ),
        (
            "nginx_config: {http: {keepalive_timeout: 5 apples}}",
            "config.yaml:1: nginx_config.http.keepalive_timeout: "
            'not a duration such as "60s" or "500ms": "5 apples"',
        ),
        (
            "nginx_config: {http: {lua_shared_dict: {d: 10mb}}}",
            "config.yaml:1: nginx_config.http.lua_shared_dict.d: "
            'not a size such as "64k" or "10m": "10mb"',
        ),
        (
            "nginx_config: {http: {custom_lua_shared_dict: {d: 8k}}}",
            "config.yaml:1: nginx_config.http.custom_lua_shared_dict.d: "
            'a shared dictionary has from 12k to 4g, not "8k"',
        ),
        (
            "nginx_config: {meta: {lua_shared_dict: {d: 5g}}}",
            "config.yaml:1: nginx_config.meta.lua_shared_dict.d: "
            'a shared dictionary has from 12k to 4g, not "5g"',
        ),
        (
            "nginx_config: {http: {client_max_body_size: 1.5}}",
            "config.yaml:1: nginx_config.http.client_max_body_size: "
            "a size is a whole number of bytes, not 1.5",
        ),
        (
            "nginx_config: {error_log_level: loud}",
            "config.yaml:1: nginx_config.error_log_level: must be one of emerg, alert, crit, error,"
            ' warn, notice, info, debug; not "loud"',
        ),
        ("plugins: key-auth", 'config.yaml:1: plugins: must be a list, not "key-auth"'),
        ("plugins: [1]", "config.yaml:1: plugins[0]: must be a string, not 1"),
        (
            "pygw: {plugin_dir: [x]}",
            "config.yaml:1: pygw.plugin_dir: unknown key; known here: entry_points, pid,"
            " plugin_dirs, python_plugins, strict_phases, watch_plugins, watchdog_timeout",
        ),
        (
            "apisix: {data_encryption: {keyring: [short]}}",
            "config.yaml:1: apisix.data_encryption.keyring[0]: must be a string of 16 or 32"
            ' characters, not "short"',
        ),
    ],
)
def test_a_wrong_value_is_one_message_with_line_key_and_reason(
    refused: Any, text: str, message: str
) -> None:
    assert refused(text) == message


def test_a_bad_reserved_variable_is_named(refused: Any) -> None:
    said = refused("", APISIX_DEPLOYMENT_ETCD_HOST="h:1")
    assert said.startswith("$APISIX_DEPLOYMENT_ETCD_HOST: not a JSON list of URLs")
    assert "worker_processes" in refused("", APISIX_WORKER_PROCESSES="x")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("apisix: {node_lisen: 81}", "apisix.node_lisen: unknown key; did you mean node_listen?"),
        ("plugin: []", "plugin: unknown key; did you mean plugins?"),
        ("apisix:\n  stream_proxy: {tcp: [1]}", "stream_proxy: ignored: TCP and UDP"),
        ("apisix: {proxy_mode: stream}", "apisix.proxy_mode: only http is available"),
        (
            "nginx_config: {http_configuration_snippet: 'gzip on;'}",
            "http_configuration_snippet: ignored: there is no nginx.conf",
        ),
    ],
)
def test_a_slip_or_an_absent_feature_is_a_warning(given: Any, text: str, warning: str) -> None:
    (said,) = given(text).warnings
    assert warning in said


def test_keys_of_others_and_comments_in_snippets_pass_quietly(given: Any) -> None:
    text = "apisix: {ssl: {enable: true}}\nnginx_config: {main_configuration_snippet: '# x'}\nmy: 1"
    assert given(text).warnings == ()


def test_server_tokens_show_the_version_unless_told_not_to(given: Any) -> None:
    assert given("").http.server_tokens.startswith("pygw/")
    assert given("apisix: {enable_server_tokens: false}").http.server_tokens == "pygw"
