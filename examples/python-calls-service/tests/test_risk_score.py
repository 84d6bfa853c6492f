"""Tests of risk_score.py. The service is a stub; what is late is late in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import risk_score
from gevent.event import Event

from pygw.testing import GatewayError, Seen, Upstream


@pytest.fixture
def service() -> Iterator[Upstream]:
    """A service that finds a score of 10."""
    stub = Upstream()
    stub.reply(200, {"score": 10})
    yield stub
    stub.stop()


@pytest.fixture
def pygw_config() -> dict[str, Any]:
    return {"plugins": [risk_score.__file__]}


@pytest.fixture
def path(gateway: Any, service: Upstream) -> str:
    """The path of a route with the plugin."""
    return str(gateway.route({"risk-score": {"url": f"http://{service.node}/score"}}))


def test_the_upstream_is_told_the_score(gateway: Any, path: str, service: Upstream) -> None:
    answer = gateway.get(f"{path}/x", remote_addr="10.0.0.1", headers={"X-Risk-Score": "0"})
    assert answer.status == 200
    assert gateway.upstream.last.headers["X-Risk-Score"] == "10"
    assert (service.last.method, service.last.target) == ("POST", "/score")
    assert service.last.json() == {"client": "10.0.0.1", "path": f"{path}/x"}


def test_what_is_too_risky_is_refused(gateway: Any, path: str, service: Upstream) -> None:
    service.reply(200, {"score": 80})
    answer = gateway.get(path)
    assert (answer.status, answer.json()) == (403, {"message": "too risky", "score": 80})
    assert gateway.upstream.requests == []


def test_connections_are_kept(gateway: Any, path: str, service: Upstream) -> None:
    assert [gateway.get(path).status for _ in range(3)] == [200, 200, 200]
    assert (len(service.requests), service.connections) == (3, 1)


def test_a_service_that_is_late_is_done_without(gateway: Any, path: str, service: Upstream) -> None:
    def never(seen: Seen) -> Any:
        Event().wait()

    service.respond(never)
    assert gateway.get(path, headers={"X-Risk-Score": "0"}).status == 200
    assert gateway.upstream.last.headers.get("X-Risk-Score") is None
    assert "plugin [risk-score] took more than 0.5 seconds in phase access" in gateway.log


def test_a_late_answer_is_nobody_elses(gateway: Any, path: str, service: Upstream) -> None:
    late = Event()

    def wait(seen: Seen) -> Any:
        late.wait()
        return 200, None, {"score": 99}

    service.respond(wait)
    assert gateway.get(path).status == 200
    service.reply(200, {"score": 20})
    late.set()
    assert gateway.get(path).status == 200
    assert gateway.upstream.last.headers["X-Risk-Score"] == "20"


@pytest.mark.parametrize(
    ("status", "body"), [(500, ""), (200, "no JSON"), (200, {}), (200, {"score": "high"})]
)
def test_a_service_that_fails_is_done_without(
    gateway: Any,
    path: str,
    service: Upstream,
    status: int,
    body: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.reply(status, body)
    assert gateway.get(path).status == 200
    assert gateway.upstream.last.headers.get("X-Risk-Score") is None
    assert f"no score from http://{service.node}/score" in caplog.text


def test_so_is_one_that_has_gone(gateway: Any, path: str, service: Upstream) -> None:
    assert gateway.get(path).status == 200
    service.stop()
    assert gateway.get(path).status == 200
    assert gateway.upstream.last.headers.get("X-Risk-Score") is None


def test_a_plugin_must_know_whom_to_ask(gateway: Any) -> None:
    with pytest.raises(GatewayError, match='property "url" is required'):
        gateway.route({"risk-score": {}})
