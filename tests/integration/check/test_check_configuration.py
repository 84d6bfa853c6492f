"""`pygw check apisix.yaml`: what it says of a configuration, good or full of mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Result = subprocess.CompletedProcess[str]
Check = Callable[..., Result]

UPSTREAM = "{type: roundrobin, nodes: {'127.0.0.1:80': 1}}"


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Run `pygw check FILE` with this text: check(text, *arguments, name=…, **environment)."""

    def run(text: str, *arguments: str, name: str = "apisix.yaml", **env: str) -> Result:
        (tmp_path / name).write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pygw", "check", name, *arguments],
            cwd=tmp_path,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def problems(result: Result) -> list[str]:
    """The lines about problems; the last line counts."""
    return result.stdout.splitlines()[:-1]


GOOD = f"""
upstreams:
  - id: web
    nodes: {{'127.0.0.1:80': 1}}
services:
  - {{id: s, upstream_id: web}}
plugin_configs:
  - {{id: 7, plugins: {{key-auth: {{}}}}}}
consumer_groups:
  - {{id: g, plugins: {{limit-count: {{count: 1, time_window: 1, rejected_code: 429}}}}}}
consumers:
  - {{username: jack, group_id: g}}
  - {{id: jack/credentials/one, plugins: {{key-auth: {{key: secret}}}}}}
global_rules:
  - {{id: 1, plugins: {{request-id: {{}}}}}}
plugin_metadata:
  - {{id: http-logger, log_format: {{host: $host}}}}
secrets:
  - {{id: vault/1, uri: 'http://127.0.0.1:8200', prefix: kv/apisix, token: t}}
stream_routes:
  - {{id: 1, server_port: 9100, upstream_id: web}}
routes:
  - {{id: a, uri: /a, service_id: s, plugin_config_id: 7}}
  - {{uri: /b, upstream: {UPSTREAM}}}
#END
"""


def test_a_good_file(check: Check) -> None:
    result = check(GOOD)
    assert result.stderr == ""
    assert result.stdout == (
        "apisix.yaml: ok (1 upstream, 1 service, 1 plugin_config, 1 consumer_group, 2 consumers,"
        " 1 global_rule, 1 plugin_metadata, 1 secret, 1 stream_route, 2 routes)\n"
    )
    assert result.returncode == 0


BAD = """\
routes:
  - id: a
    uri: /a
    plugins:
      limit-count: {count: 1, time_window: soon, key: 3}
      no-such: {}
      key-auth: {header: 3}
    upstream_id: 9
  - id: a
    uri: [/x]
    service_id: s9
  - uri: /v
    vars: [[arg_a, "===", 1]]
    plugin_config_id: 7
    upstream_id: 1
  - uri: /b
    urii: /b
  - just text
  - uri: /f
    filter_func: "function( return"
    upstream_id: 1
upstreams:
  - id: 1
    type: chash
    nodes:
      - {host: 127.0.0.1, port: 99999, weight: 1}
    tls: {client_cert_id: none}
consumers:
  - username: jack
    group_id: g
  - username: "no name"
  - id: jack/credentials/x
    plugins: {limit-count: {count: 1, time_window: 1}}
ssls:
  - {id: 1, cert: x, key: y, sni: a.b}
plugin_metadata:
  - {id: nonesuch, a: 1}
secrets:
  - {id: vault/1, uri: 3}
stream_routes:
  - {id: 1, remote_addr: 300.1.1.1}
protos:
  - {id: 1, content: 3}
rotues: []
services: {}
global_rules:
  - id: 1
    id: 2
    plugins: {ip-restriction: {}}
"""

MISTAKES = [
    (5, 55, 'routes[0] "a": failed to check the configuration of plugin limit-count err: '),
    (6, 7, 'routes[0] "a": unknown plugin [no-such]'),
    (7, 26, 'routes[0] "a": failed to check the configuration of plugin key-auth err: '),
    (8, 18, 'routes[0] "a": there is no upstream with the id 9'),
    (9, 9, 'routes[1] "a": the id a stands twice (first on line 2)'),
    (10, 5, 'routes[1] "a": property "uri" validation failed: '),
    (11, 17, 'routes[1] "a": there is no service with the id s9'),
    (13, 5, "routes[2]: failed to validate the 'vars' expression: "),
    (14, 23, "routes[2]: there is no plugin config with the id 7"),
    (17, 5, "routes[3]: additional properties forbidden, found urii"),
    (18, 5, "routes[4]: must be a table"),
    (20, 18, "routes[5]: failed to load 'filter_func' string: "),
    (25, 5, 'upstreams[0] "1": property "nodes" validation failed: '),
    (27, 27, 'upstreams[0] "1": there is no ssl with the id none'),
    (30, 15, 'consumers[0] "jack": there is no consumer group with the id g'),
    (31, 15, 'consumers[1] "no name": property "username" validation failed: '),
    (32, 5, 'consumers[2] "jack/credentials/x": only supports auth type plugins in consumer'),
    (35, 19, 'ssls[0] "1": property "cert" validation failed: '),
    (37, 5, 'plugin_metadata[0] "nonesuch": invalid plugin name'),
    (39, 5, 'secrets[0] "vault/1": '),
    (41, 26, 'stream_routes[0] "1": invalid configuration: property "remote_addr" validation'),
    (43, 22, 'protos[0] "1": invalid configuration: property "content" validation failed: '),
    (44, 1, "rotues: is no kind of resource; did you mean routes?"),
    (45, 1, "services: must be a list"),
    (48, 5, "id: given twice (first on line 47)"),
    (49, 15, 'global_rules[0] "2": failed to check the configuration of plugin ip-restriction'),
    (49, 1, "the last line must be #END"),
]


def test_every_mistake_is_told_with_its_place(check: Check) -> None:
    result = check(BAD)
    assert result.returncode == 1
    told = problems(result)
    for line, column, message in MISTAKES:
        beginning = f"apisix.yaml:{line}:{column}: {message}"
        assert [each for each in told if each.startswith(beginning)], (beginning, told)
    assert len(told) == len(MISTAKES), told
    assert result.stdout.splitlines()[-1].startswith(f"apisix.yaml: {len(MISTAKES)} problems (")


def test_yaml_that_is_none(check: Check) -> None:
    result = check("routes:\n  - uri: /a\n   id: 3\n#END\n")
    assert result.returncode == 1
    assert problems(result)[0].startswith("apisix.yaml:3:4: not valid YAML: ")


def test_a_variable_that_is_not_set_is_all_that_is_told_of_its_item(check: Check) -> None:
    text = (
        "routes:\n  - uri: /${{A}}/x\n    priority: ${{NOT_SET}}\n"
        f"    upstream: {UPSTREAM}\n"
        "  - {uri: '/${{A}}', urii: 1}\n#END\n"
    )
    result = check(text, A="aaaaaaaaaaaa")
    assert problems(result) == [
        "apisix.yaml:3:15: environment variable NOT_SET is not set and has no default",
        "apisix.yaml:5:22: routes[1]: additional properties forbidden, found urii",
    ]
    result = check(text, A="a", NOT_SET="1")
    assert len(problems(result)) == 1


def test_json(check: Check) -> None:
    text = '{"routes": [\n  {"uri": "/a", "priority": "x"},\n  {"uri": "/${{NOT_SET}}"}\n]}'
    result = check(text, name="apisix.json")
    first, second = problems(result)
    assert first.startswith('apisix.json:2:29: routes[0]: property "priority" validation failed: ')
    assert second.startswith("apisix.json:3:11: environment variable NOT_SET is not set")
    result = check('{"routes": [}', name="apisix.json")
    assert problems(result) == ["apisix.json:1:13: not valid JSON: Expecting value"]


def test_for_programs(check: Check) -> None:
    result = check("routes:\n  - {id: 5, uri: /a, urii: 1}\n#END\n", "--format", "json")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        "passed": 0,
        "failed": 0,
        "plugins": [],
        "configurations": [
            {
                "ok": False,
                "file": "apisix.yaml",
                "counts": {"routes": 1},
                "problems": [
                    {
                        "line": 2,
                        "column": 22,
                        "item": 'routes[0] "5"',
                        "message": "additional properties forbidden, found urii",
                    }
                ],
            }
        ],
    }


def test_a_file_that_is_not_there(check: Check) -> None:
    result = check("", "absent.yaml")
    assert "absent.yaml: cannot be read: No such file or directory" in problems(result)
    assert result.returncode == 1


def test_the_plugins_are_those_of_config_yaml(check: Check, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from pygw.plugin import Plugin\n\n\nclass Hello(Plugin):\n"
        "    name = 'hello'\n    priority = 1\n    def access(self, conf, ctx):\n        pass\n"
        "    schema = {'type': 'object', 'properties': {'n': {'type': 'integer'}}}\n"
    )
    (tmp_path / "config.yaml").write_text(
        "plugins: [hello]\npygw: {python_plugins: [mine.py]}\n"
        "deployment: {role: traditional, role_traditional: {config_provider: etcd}}\n"
    )
    result = check(
        f"routes:\n  - uri: /a\n    upstream: {UPSTREAM}\n    plugins:\n      hello: {{n: x}}\n"
        "      key-auth: {}\n#END\n"
    )
    first, second = problems(result)
    assert first.startswith(
        "apisix.yaml:5:18: routes[0]: failed to check the configuration of plugin hello err: "
        'property "n" validation failed: '
    )
    assert second == "apisix.yaml:6:7: routes[0]: unknown plugin [key-auth]"


def test_ten_thousand_routes(check: Check) -> None:
    routes = "".join(
        f"  - {{id: r{i}, uri: /p/{i}/*, upstream: {UPSTREAM},"
        " plugins: {limit-count: {count: 10, time_window: 60}}}\n"
        for i in range(10_000)
    )
    began = time.monotonic()
    result = check(f"routes:\n{routes}  - urii: 1\n#END\n")
    assert time.monotonic() - began < 60  # seconds: 2, but for what else the machine does
    assert problems(result) == [
        "apisix.yaml:10002:5: routes[10000]: additional properties forbidden, found urii"
    ] or re.match(r"apisix\.yaml:10002:\d+: routes\[10000\]: ", problems(result)[0])
    assert len(problems(result)) == 1


def test_the_example_of_the_documentation(check: Check) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/checking-configuration.md").read_text()
    blocks = re.findall(r"```(?:yaml)?\n(.*?)```", text, re.DOTALL)
    written, shown = (block.replace("PORT", "NOT_SET") for block in blocks[:2])
    assert "$ pygw check apisix.yaml\n" + check(written).stdout == shown
