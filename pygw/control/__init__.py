"""Owns the asking of a running gateway's Control API from Python. Must never serve anything.

`settled` is the barrier of scripts and tests: it returns once every worker has applied a revision.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

MAX_TIMEOUT = 300.0  # seconds that one may wait (lua/apisix/control/settled.lua)
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
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read()
        except HTTPException as error:
            raise ControlError(f"{host}:{port} is no Control API: {error!r}") from None
    answer = _read(text)
    if response.status not in (200, 504) or "settled" not in answer:
        said = answer.get("error_msg") or f"{host}:{port} is no Control API"
        raise ControlError(f"{response.status}: {said}")
    return Settled(
        answer["settled"],
        answer["revision"],
        {worker["id"]: worker["revision"] for worker in answer["workers"]},
        tuple(answer["late"]),
    )


def _read(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
