"""Owns how a request is refused: one exception that is the answer, with APISIX's body."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The answer to a request that is not done: a status and {"error_msg": …}."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error_msg": message, **more}


class KeyNotFound(Refusal):
    """Nothing in the store has the key; the body is APISIX's."""

    def __init__(self) -> None:
        super().__init__(404, "Key not found")
        self.body = {"message": "Key not found"}
