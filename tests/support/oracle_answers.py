"""What a server makes of a snippet: status, headers, body and log lines, without what varies.

Must never know what is right: nginx does.
"""

from __future__ import annotations

import itertools
import re
from typing import Protocol

from support.app_server import Log
from support.http import Client, Truncated
from support.oracle import Snippet

HANGS = 1.0  # seconds without an answer: there comes none


class Server(Protocol):
    """What both servers offer."""

    log: Log
    port: int

    def connect(self) -> Client: ...


# ngx_lua's Lua half, lua-resty-core, has a place of its own in some messages, or none. Where a
# wrong value makes it fail by accident (the FFI cannot convert it, it is nil where a table was
# expected), it is enough that the same fails here.
_THEIRS = r"/usr/share/lua/5\.1/(?:resty/core|ngx)/\w+\.lua:\d+: "
_CORE = re.compile(_THEIRS)
_PLACE = re.compile(r"[^\s\"]+:\d+: ")
_ACCIDENT = re.compile(rf'(.*raises "){_THEIRS}(?:attempt|bad arg|cannot conv)')


def reconciled(theirs: Answer, ours: Answer) -> Answer:
    """Our answer, with their line wherever ours says the same but for such places and words."""
    result = dict(ours)
    for part in ours.keys() & theirs.keys():
        pairs = itertools.zip_longest(theirs[part].split("\n"), ours[part].split("\n"))
        lines = [their if _alike(their or "", our or "") else our for their, our in pairs]
        result[part] = "\n".join(line for line in lines if line is not None)
    return result


def _alike(theirs: str, ours: str) -> bool:
    if theirs == ours or len(theirs) + len(ours) > 5000:
        return False
    accident = _ACCIDENT.match(theirs)
    if accident:
        return ours.startswith(accident[1])
    bare = _CORE.sub("", theirs)
    return _PLACE.sub("", bare) == _PLACE.sub("", ours) and set(_PLACE.findall(bare)) <= set(
        _PLACE.findall(ours)
    )


Answer = dict[str, str]  # "status", "headers", "body", "log" -> text


def ask(server: Server, snippet: Snippet) -> Answer:
    """Run a snippet on a server. What the log has of it stands between two fences."""
    before = _fence(server, f"before {snippet.path}")
    waited = snippet.wait and server.log.text.count(snippet.wait)
    with server.connect() as client:
        client.socket.settimeout(HANGS)
        client.send(snippet.bytes())
        answer = _answer(client, str(snippet.request.get("method", "GET")))
        if snippet.wait:
            server.log.wait_for(snippet.wait, int(waited) + 1)
    after = _fence(server, f"after {snippet.path}")
    entries = "\n".join(_entries(after[len(before) :]))
    answer["log"] = entries.replace(f"127.0.0.1:{server.port}", "127.0.0.1:PORT")
    return {part: _steady(text) for part, text in answer.items()}


def start(server: Server) -> Answer:
    """What the log has of the worker's start, by Lua code."""
    text = server.log.wait_for("the start is over").partition("the start is over")[0]
    lines = _steady("\n".join(_entries(text))).split("\n")
    return {"log": "\n".join(line for line in lines if not line.startswith("[notice]"))}


def _steady(text: str) -> str:
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text


def _fence(server: Server, name: str) -> str:
    mark = f"{name.replace(' ', '-')}-{next(_numbers)}"
    with server.connect() as client:
        client.ask(f"/fence?{mark}")
    return server.log.wait_for(f"fence {mark},")


def _answer(client: Client, method: str) -> Answer:
    try:
        response = client.response(method)
    except (Truncated, ConnectionError):
        return {"status": "broken off"}
    except TimeoutError:
        return {"status": "hangs"}
    fields = [f"{k}: {v}" for k, v in response.headers if k.lower() not in ("server", "date")]
    headers, body = "\n".join(fields), response.text
    if "<hr><center>pygw</center>" in body:  # the server's name stands on its pages
        body = body.replace("<center>pygw<", "<center>nginx<")
        size = f"Content-Length: {len(response.body)}"
        headers = headers.replace(size, f"Content-Length: {len(body)}")
    return {"status": f"{response.status} {response.reason}", "headers": headers, "body": body}


_numbers = itertools.count()
_ENTRY = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w*\]) \d+#\d+: (\*\d+ )?(.*)$")
_NOISE = re.compile(
    r"fence |client .* closed keepalive connection|closed connection while waiting"
    r"|while reading client request line"  # of a socket that a snippet leaves
    r"|called without delayed events patch"  # of sleep(0), on a stock nginx
)
# Addresses; and what the first frame of a traceback says of the handler, which Lua calls here.
_VARYING = (
    (re.compile(r"0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r"u:[^,]*, c:[^,]*(, ft:\d+ eof:\d)?"), "u:…, c:…"),
    (re.compile(r"\.lua: in (main chunk|function ('run'|<.*?>))"), ".lua: in the handler"),
)
_CONTEXT = re.compile(r"( while \w+ request)?, (client: |context: ).*")


def _entries(text: str) -> list[str]:
    """The log's entries without time, pid and connection; of a traceback only its first frame."""
    entries: list[list[str]] = []
    for line in text.splitlines():
        found = _ENTRY.match(line)
        if found:
            entries.append([f"{found[1]} {'*N ' if found[2] else ''}{found[3]}"])
        elif entries:
            entries[-1].append(line)
    return [line for entry in entries if not _NOISE.search(entry[0]) for line in _shorten(entry)]


def _shorten(entry: list[str]) -> list[str]:
    if "stack traceback:" not in entry:
        return entry
    frame = next(at for at, line in enumerate(entry) if line.startswith("\t"))
    context = _CONTEXT.search(entry[-1])
    first = _CONTEXT.sub("", entry[frame])
    return [*entry[:frame], first, context[0] if context else "(no context)"]
