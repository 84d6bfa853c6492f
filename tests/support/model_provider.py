"""A server that speaks the APIs of model providers, as far as tests of ai-proxy need it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from gevent import server

from pygw.testing.messages import Seen, read_request

Script = Callable[[Any], None]

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chat_answer(text: str = "hello", **more: Any) -> dict[str, Any]:
    """What a chat's answer is in OpenAI's API."""
    message = {"role": "assistant", "content": text, **more}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c1", "object": "chat.completion", "choices": choices, "usage": USAGE}


def events(*data: Any) -> list[bytes]:
    """Events of a stream in OpenAI's API; dictionaries become JSON."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in data]
    return [f"data: {text}\n\n".encode() for text in texts]


def delta(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


class Provider:
    """Answers what `answer` says: (status, type, body), or a script, which gets the socket."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.accepted = 0
        self.answer: tuple[int, str, bytes] | Script = (200, "application/json", b"")
        self.say(chat_answer())
        self._server = server.StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}"

    def say(self, body: Any, status: int = 200) -> None:
        self.answer = (status, "application/json", json.dumps(body).encode())

    @property
    def last(self) -> Seen:
        return self.requests[-1]

    @property
    def last_body(self) -> Any:
        return json.loads(self.last.body)

    def _serve(self, connection: Any, _address: Any) -> None:
        self.accepted += 1
        with contextlib.closing(connection), connection.makefile("rb") as stream:
            while seen := read_request(stream):
                # lua-resty-http writes "?" for a query that is empty
                seen.target = seen.target.removesuffix("?")
                self.requests.append(seen)
                if callable(self.answer):
                    self.answer(connection)
                    return
                status, kind, text = self.answer
                head = f"HTTP/1.1 {status} Reason\r\nContent-Type: {kind}\r\n"
                head += f"Content-Length: {len(text)}\r\n\r\n"
                connection.sendall(head.encode() + text)

    def stop(self) -> None:
        self._server.stop(timeout=0)


def stream_head(kind: str = "text/event-stream") -> bytes:
    """The head of an answer in chunks."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def streaming(*pieces: bytes) -> Script:
    """A script that answers in chunks, a piece each."""

    def script(connection: Any) -> None:
        connection.sendall(stream_head() + b"".join(map(chunk, pieces)) + chunk(b""))

    return script


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    try:
        yield provider
    finally:
        provider.stop()
