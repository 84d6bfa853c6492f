"""Hooks of a worker's life: its start with the configuration, changes, plugins, log lines."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import pytest

from pygw.extensions.manager import ExtensionError

LIFE = """
    life = []
    @hookimpl
    def pygw_worker_start(worker_id, config):
        life.append(("start", worker_id, config["apisix"]["node_listen"]))
    @hookimpl
    def pygw_worker_ready(worker_id):
        life.append(("ready", worker_id))
    @hookimpl
    def pygw_worker_stop(worker_id):
        life.append(("stop", worker_id))
"""


def test_the_life_of_a_worker(start: Any) -> None:
    gateway = start(LIFE, config={"apisix": {"node_listen": 9099, "enable_control": False}})
    module = gateway.module
    assert module.life == [("start", 0, 9099), ("ready", 0)]
    gateway.stop()
    assert module.life[2:] == [("stop", 0)]


def test_what_became_of_an_item(start: Any) -> None:
    gateway = start(
        """
    changes = []
    @hookimpl
    def pygw_config_change(change):
        changes.append((change.directory, change.id, change.action))
"""
    )
    for name in ("one", "one"):
        gateway.store.put(b"/apisix/services/1", json.dumps({"name": name}).encode())
    gateway.store.delete(b"/apisix/services/1")
    gateway.until(lambda: len(gateway.module.changes) == 3)
    actions = ["added", "changed", "removed"]
    assert gateway.module.changes == [("/services", "1", action) for action in actions]


LOADED = """
    loaded, reloaded = [], []
    @hookimpl
    def pygw_plugin_loaded(plugin):
        loaded.append(plugin)
    @hookimpl
    def pygw_plugin_reloaded(plugin):
        reloaded.append(plugin)
    class Own(Plugin):
        name, priority, version, schema = "t-own", 10, 0.5, {"type": "object"}
        def access(self, conf, ctx): ...
"""


def test_plugins_of_both_languages_are_told_when_they_are_loaded(start: Any) -> None:
    gateway = start(LOADED, config={"plugins": ["key-auth"]})
    gateway.until(lambda: len(gateway.module.loaded) == 2)
    told = {(p.name, p.version, p.priority, p.language) for p in gateway.module.loaded}
    assert told == {("key-auth", 0.1, 2500, "lua"), ("t-own", 0.5, 10, "python")}
    assert gateway.module.reloaded == []


def test_new_code_of_a_plugin_is_told(start: Any, tmp_path: Any) -> None:
    text = (
        "return {version=%s, priority=5, name='t-new', schema={type='object'},"
        " check_schema=function() return true end}"
    )
    file = tmp_path / "lua" / "t-new.lua"
    file.parent.mkdir()
    file.write_text(text % "0.1")
    pygw = {"plugin_dirs": [str(file.parent)], "python_plugins": ["plugins.py"]}
    gateway = start(LOADED, config={"plugins": ["t-new"], "pygw": {**pygw, "watch_plugins": True}})
    gateway.until(lambda: len(gateway.module.loaded) == 2)
    other = file.with_suffix(".new")
    other.write_text(text % "0.2")
    os.replace(other, file)
    gateway.until(lambda: gateway.module.reloaded)
    assert [(p.name, p.version) for p in gateway.module.reloaded] == [("t-new", 0.2)]


RECORDS = """
    import logging
    records = []
    @hookimpl
    def pygw_log_record(record):
        records.append(record)
        react(record)
    def react(record):
        pass
    class Logs(Plugin):
        name, priority, schema = "t-fails", 10, {"type": "object"}
        def access(self, conf, ctx):
            raise ValueError("zoë is no good")
"""


def of_plugin(gateway: Any) -> list[Any]:
    return [record for record in gateway.module.records if "zoë" in record.message]


def test_each_line_of_the_log_is_told(start: Any) -> None:
    gateway = start(RECORDS, {"a": {"t-fails": {}}})
    assert gateway.ask("/a").status == 500
    gateway.until(lambda: of_plugin(gateway))
    [record] = of_plugin(gateway)
    assert (record.level, record.pid) == ("error", os.getpid())
    assert record.time > 0
    assert 'request: "GET /a HTTP/1.1"' in record.message
    lines = gateway.log().count("#0: ")
    gateway.until(lambda: len(gateway.module.records) == lines)


def test_a_hook_that_fails_or_logs_is_not_told_of_itself(start: Any, caplog: Any) -> None:
    gateway = start(RECORDS, {"a": {"t-fails": {}}})

    def fail(record: Any) -> None:
        logging.getLogger("t-ship").warning("shipping")
        raise OSError("cannot ship")

    gateway.module.react = fail
    gateway.ask("/a")
    gateway.until(lambda: "a pygw_log_record hook failed" in caplog.text)
    assert not [each for each in gateway.module.records if "ship" in each.message]
    assert gateway.ask("/none").status == 404


def test_what_waits_is_delivered_before_the_end(start: Any) -> None:
    gateway = start(RECORDS, {"a": {"t-fails": {}}})
    gateway.ask("/a")
    gateway.stop()
    assert of_plugin(gateway)


SCHEMA = """
    from pygw.hookspecs import ConfigKey
    def even(value):
        if value % 2:
            raise ValueError(f"must be even, not {value}")
    seen = []
    @hookimpl
    def pygw_config_schema():
        return {
            "shipper.to.host": ConfigKey(str, "127.0.0.1"),
            "shipper.to.port": ConfigKey(int, 514, even),
            "shipper.rate": ConfigKey(float),
        }
    @hookimpl
    def pygw_worker_start(worker_id, config):
        seen.append(config["shipper"])
"""


def test_a_hook_reads_its_own_keys_with_defaults(start: Any) -> None:
    gateway = start(SCHEMA, config={"shipper": {"to": {"port": 600}}})
    assert gateway.module.seen == [{"to": {"host": "127.0.0.1", "port": 600}, "rate": None}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"to": {"port": 601}}, "shipper.to.port: must be even, not 601"),
        ({"to": {"port": "x"}}, 'shipper.to.port: must be an integer, not "x"'),
        ({"to": {"port": True}}, "shipper.to.port: must be an integer, not true"),
        ({"to": {"prot": 1}}, "shipper.to.prot: unknown key; did you mean port?"),
        ({"to": 1}, "shipper.to: must be a table, not 1"),
        (5, "shipper: must be a table, not 5"),
        ({"rate": []}, "shipper.rate: must be a number, not a list"),
    ],
)
def test_a_wrong_key_is_refused_with_its_line(start: Any, given: Any, message: str) -> None:
    with pytest.raises(ExtensionError, match=r"config.yaml:\d+: ") as caught:
        start(SCHEMA, config={"shipper": given})
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('{"apisix.x": ConfigKey(str)}', '"apisix.x": apisix is a section of pygw\'s own'),
        ('{"alone": ConfigKey(str)}', '"alone" must be "section.key"'),
        ('{"a.b": str}', '"a.b" must be a pygw.hookspecs.ConfigKey of str'),
        ('{"a.b": ConfigKey(set)}', '"a.b" must be a pygw.hookspecs.ConfigKey of str'),
        ('{"a.b": ConfigKey(str), "a.b.c": ConfigKey(str)}', "declared already"),
    ],
)
def test_a_schema_that_is_none_stops_the_start(start: Any, keys: str, message: str) -> None:
    source = f"""
    from pygw.hookspecs import ConfigKey
    @hookimpl
    def pygw_config_schema():
        return {keys}
"""
    with pytest.raises(ExtensionError, match="pygw_config_schema of plugins.py") as caught:
        start(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("pygw_acces(ctx)", "there is no hook `pygw_acces`"),
        ("pygw_access(context)", "context"),
        ("pygw_master_start(worker_id)", "worker_id"),
    ],
)
def test_an_unknown_hook_or_argument_stops_the_start(start: Any, hook: str, message: str) -> None:
    with pytest.raises(ExtensionError, match="plugins.py") as caught:
        start(f"\n    @hookimpl\n    def {hook}: pass\n")
    assert message in str(caught.value)
