"""Owns how a phase came out, as python_done of lua/server/python_plugins.lua takes it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Collection
from typing import Any

from pygw.plugin import ANSWERING, Response

SERVING = ("api", "control_api")

# An event, and what belongs to it.
Outcome = tuple[Any, ...]
WENT: Outcome = (b"went",)


def judged(phase: str, result: Any) -> Outcome:
    if result is None:
        return WENT
    if not isinstance(result, Response):
        return "failed", f"it returned {result!r}: return None or a pygw.plugin.Response"
    if phase not in ANSWERING and phase not in SERVING:
        return "failed", f"a Response can only be given in {', '.join(ANSWERING)}"
    return "answered", result.status, *_encoded(result)


def served(result: Any) -> Outcome:
    if isinstance(result, Response):
        return "answered", result.status, *_encoded(result)
    return "failed", f"it returned {result!r}: return a pygw.plugin.Response"


def filtered(result: Any) -> Outcome:
    if result is None:
        return WENT
    if isinstance(result, bytes):
        return "filtered", result
    return "failed", f"it returned {result!r}: return bytes, or None to leave the chunk as it is"


def _encoded(response: Response) -> tuple[str | bytes | None, dict[str, Any] | None]:
    body, headers = response.body, response.headers
    if body is None or isinstance(body, (str, bytes)):
        return body, headers or None
    if not any(name.lower() == "content-type" for name in headers):
        headers = {**headers, "Content-Type": "application/json"}
    return json.dumps(body, ensure_ascii=False) + "\n", headers


def failed(error: BaseException, ours: Collection[str]) -> Outcome:
    """The traceback as Python prints it, without the frames of `ours` that lead to the plugin."""
    inner = error.__traceback__
    while inner is not None and inner.tb_frame.f_code.co_filename in ours:
        inner = inner.tb_next
    text = "".join(traceback.format_exception(type(error), error, inner)).rstrip()
    return "failed", text
