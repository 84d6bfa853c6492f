"""`make run`: what it prints works when pasted, and it ends without a trace."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

Paste = Callable[[str], str]


def curls(demo: Any) -> list[str]:
    return re.findall(r"^  (curl .+)$", demo.said, re.M)


def test_each_of_the_three_printed_lines_does_what_is_said(demo: Any, paste: Paste) -> None:
    greet, limited, patch = curls(demo)
    assert paste(greet) == '{"message":"hello pygw"}\n'
    answers = [paste(limited) for _ in range(3)]
    statuses = [answer.split(" ", 2)[1] for answer in answers]
    assert statuses[:2] == ["200", "200"]
    assert '"path": "/get"' in answers[0]
    assert statuses[2] == "429"
    assert json.loads(paste(patch))["value"]["plugins"] == {"greeting": {"name": "you"}}
    until(lambda: paste(greet) == '{"message":"hello you"}\n')
    paste(patch.replace('"you"', '"pygw"'))
    until(lambda: paste(greet) == '{"message":"hello pygw"}\n')


def until(true: Callable[[], bool]) -> None:
    """A change that the Admin API has taken is served some milliseconds later."""
    assert any(true() for _ in range(100))


def test_it_says_where_it_listens_and_keeps_its_store(demo: Any) -> None:
    first, _, _ = demo.said.partition("\n")
    where = "listening on 127.0.0.1:9080, admin 127.0.0.1:9180, control on 127.0.0.1:9090, 1 worker"
    where = demo.with_its_ports(where)
    assert re.fullmatch(
        rf"pygw \S+: {where}, store embedded \(/\S+/examples/demo/run/store.db\)", first
    )


def test_interrupted_it_stops_without_a_word_and_starts_again(run_demo: Any, paste: Paste) -> None:
    for _ in range(2):  # the second finds the store of the first
        demo = run_demo()
        (greet, *_) = curls(demo)
        assert paste(greet) == '{"message":"hello pygw"}\n'
        before = demo.said
        demo.interrupt()
        assert demo.wait() == -signal.SIGINT
        assert demo.said.removeprefix(before).strip("\n") == ""
        assert "installing" not in demo.said


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "ADMIN_PORT", "CONTROL_PORT", "UPSTREAM_PORT"])
def test_a_taken_port_ends_it_with_a_message(run_demo: Any, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = run_demo(**{name: port})
        assert demo.wait() == 2  # make's, for a command that failed
        assert port in demo.said
        assert "ddress already in use" in demo.said
        assert "Traceback" not in demo.said
