"""The plugin server-info: what a gateway tells of itself in the store; time is virtual."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.etcd_server import running
from support.gateway import Gateway
from support.limits import advance

from pygw.config.embedded_db import Database
from pygw.hub.clock import VirtualClock

NAME = "server-info"
DIRECTORY = b"/apisix/data_plane/server_info/"
TELL = f"""return function()
    return require("apisix.plugin").get("{NAME}").control_api()[1].handler()
end"""


def start(start_gateway: Callable[..., Gateway], attr: dict[str, int], **config: Any) -> Gateway:
    """A gateway with the plugin; attr: its plugin_attr."""
    config["plugin_attr"] = {NAME: attr}
    plugins = [NAME, "serverless-pre-function"]
    gateway = start_gateway(VirtualClock(), plugins=plugins, **config)
    advance(gateway, 0.01)  # what is to be done at once is done
    return gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start(start_gateway, {"report_ttl": 20})


def told(gateway: Gateway) -> Any:
    """What its API answers."""
    return gateway.ask(gateway.route({"serverless-pre-function": {"functions": [TELL]}})).json()


def key(gateway: Gateway) -> bytes:
    return DIRECTORY + str(told(gateway)["id"]).encode()


def written(gateway: Gateway) -> Any:
    """The report in the store, once there is one."""
    where = key(gateway)
    gateway.until(lambda: gateway.store.get(where)[1] is not None)
    found = gateway.store.get(where)[1]
    assert found
    return json.loads(found.value)


def test_what_is_reported(gateway: Gateway) -> None:
    report = written(gateway)
    assert set(report) == {"boot_time", "etcd_version", "hostname", "id", "version"}
    assert report["hostname"] == socket.gethostname()
    assert report["version"] == "3.18.0"
    assert report["etcd_version"] not in ("", "unknown")
    assert isinstance(report["boot_time"], int)


def test_what_its_api_tells(gateway: Gateway) -> None:
    report = written(gateway)
    answer = told(gateway)
    for name in ("boot_time", "hostname", "id", "version"):
        assert answer[name] == report[name]


def test_a_report_that_is_gone_is_written_again(gateway: Gateway) -> None:
    report = written(gateway)
    gateway.store.delete(key(gateway))
    advance(gateway, 11)
    assert written(gateway) == report


def test_a_report_that_is_wrong_is_put_right(gateway: Gateway) -> None:
    report = written(gateway)
    gateway.store.put(key(gateway), json.dumps({**report, "hostname": "other"}).encode())
    advance(gateway, 11)
    gateway.until(lambda: bool(written(gateway)["hostname"] != "other"))
    assert written(gateway) == report


def test_a_report_is_kept_alive(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    written(gateway)
    before = gateway.store.get(key(gateway))[1]
    assert before
    renewed: list[tuple[int, bool]] = []
    renew = Database.keep_alive

    def watched(database: Database, revision: int, expires: float) -> bool:
        renewed.append((revision, renew(database, revision, expires)))
        return renewed[-1][1]

    monkeypatch.setattr(Database, "keep_alive", watched)
    advance(gateway, 11)
    gateway.until(lambda: bool(renewed))
    assert renewed == [(before.mod_rev, True)]
    assert gateway.store.get(key(gateway))[1] == before


def test_a_time_that_cannot_be(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start(start_gateway, {"report_ttl": 2})
    assert "failed to check plugin_attr: " in gateway.log
    assert "expected 2 to be at least 3" in gateway.log
    assert gateway.store.get(key(gateway))[1] is None


@pytest.mark.parametrize("conf", [{}, {"any": "thing"}])
def test_any_configuration_is_taken(gateway: Gateway, conf: dict[str, Any]) -> None:
    assert gateway.ask(gateway.route({NAME: conf})).text == "hello"


def test_in_etcd(
    start_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The lease is etcd's own: written once, renewed after half of its time."""
    with running(tmp_path_factory.mktemp("etcd")) as etcd:
        role = {"role": "traditional", "role_traditional": {"config_provider": "etcd"}}
        deployment = {**role, "etcd": {"host": [etcd.url], "prefix": "/apisix"}}
        gateway = start(start_gateway, {"report_ttl": 100}, deployment=deployment)
        report = written(gateway)
        assert re.fullmatch(r"3\.\d+\.\d+", report["etcd_version"])
        assert etcd.metric("etcd_debugging_lease_renewed_total") == 0
        advance(gateway, 51)
        gateway.until(lambda: etcd.metric("etcd_debugging_lease_renewed_total") == 1)
        assert etcd.metric("etcd_debugging_lease_granted_total") == 1
