"""Owns the asking of a running gateway's Control API from Python. Must never serve anything.

`settled` is the barrier of scripts and tests: it returns once every worker has applied a revision.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

_MARGIN = 5.0  # seconds that an answer may take beyond the wait it was asked for


@dataclass(frozen=True)
class Settled:
    """What the workers have applied: `revision` of the store, `workers` by id, `late` ids."""

    settled: bool
    revision: int
    workers: dict[int, int]
    late: tuple[int, ...]


class ControlError(Exception):
    """The Control API refused or failed; the message is its own."""


def settled(
    port: int, revision: int = 0, timeout: float = 10.0, *, host: str = "127.0.0.1"
) -> Settled:
    """Wait until every worker has applied `revision`, or with 0 what the store holds now.

    At most `timeout` seconds, then `settled` is False. Raises ControlError, OSError.
    """
    path = f"/v1/config/settled?revision={revision}&timeout={timeout}"
    with contextlib.closing(HTTPConnection(host, port, timeout=timeout + _MARGIN)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
    if response.status not in (200, 504):
        raise ControlError(f"{response.status}: {text.decode(errors='replace').strip()}")
    answer: dict[str, Any] = json.loads(text)
    return Settled(
        answer["settled"],
        answer["revision"],
        {worker["id"]: worker["revision"] for worker in answer["workers"]},
        tuple(answer["late"]),
    )
