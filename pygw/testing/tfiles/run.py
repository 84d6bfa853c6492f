"""Owns the run of one block: its directory, its worker, its requests, its verdict."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pygw.testing.tfiles import (
    apisix_conf,
    application,
    bodies,
    checks,
    client,
    conf,
    exceptions,
    files,
    mocks,
    nginx_conf,
    skips,
    spec,
)
from pygw.testing.tfiles.services import free_port
from pygw.testing.tfiles.spec import Block, Spec
from pygw.testing.tfiles.zygote import Zygote

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_TIMEOUT = 3.0  # seconds that a client waits for the next bytes, unless the block says otherwise
_SETTLE = 1.0  # seconds that lines get to appear in the log
_QUIET = 0.03  # seconds that a log is watched before unwanted lines are said not to be there
_TAIL = 4000  # characters of the log in a verdict
_INDEX = "<html><head><title>It works!</title></head><body>It works!</body></html>"

# What a block's author has to put right.
_FAULTS = (
    conf.ConfError,
    client.BadRequest,
    nginx_conf.MissingVariable,
    bodies.UnknownFilter,
    re.error,
)


@dataclass
class Verdict:
    """How a block ended. why: the reason of a skip, or all that was wrong.

    left_out: how many of its expectations were not judged, since they are of nginx's debug log.
    """

    outcome: str
    why: list[str] = field(default_factory=list)
    log: str = ""
    seconds: float = 0.0
    directory: str = ""
    left_out: int = 0


@dataclass
class Place:
    """Where blocks run: the working directory, one that is made anew each time, a port."""

    directory: Path
    servroot: Path
    port: int
    env: dict[str, str]


class BlockRun:
    """One block in a place."""

    def __init__(self, spec: Spec, block: Block, place: Place, zygote: Zygote) -> None:
        self._spec, self._block, self._place, self._zygote = spec, block, place, zygote
        self._has_gateway = bool(spec.settings.get("apisix"))
        self._admin_port = free_port() if self._has_gateway else 0
        if self._has_gateway:
            self._block = apisix_conf.framed(block, place.directory, self._admin_port)
        self._env = {**place.env, **spec.env}
        for i in range(1, 5):
            self._env[f"TEST_NGINX_RAND_PORT_{i}"] = ""
        self._seen = 0  # bytes of the error log that were looked at
        self._log = place.servroot / "logs" / "error.log"

    def run(self) -> Verdict:
        """Run it; never raises."""
        began = time.monotonic()
        shutil.rmtree(self._place.servroot, ignore_errors=True)  # of the block before
        reason = skips.reason(self._spec, self._block)
        if reason:
            return Verdict(SKIPPED, [reason])
        if self._block.broken:
            return Verdict(FAILED, [self._block.broken])
        try:
            verdict = self._run()
        except application.Unsupported as error:
            verdict = Verdict(SKIPPED, [str(error)])
        except _FAULTS as error:
            verdict = Verdict(FAILED, [str(error)])
        except Exception as error:  # a fault of the collector's own: seen, and the others go on
            verdict = Verdict(FAILED, [f"the collector failed: {error!r}"])
        reason = exceptions.lacking(self._log_text()) if verdict.outcome == FAILED else None
        if reason:
            verdict = Verdict(SKIPPED, [reason])
        verdict.left_out = checks.left_out(self._block)
        verdict.seconds = time.monotonic() - began
        verdict.log = self._log_text()[-_TAIL:]
        return verdict

    def _expand(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        text = text.replace("$ServerPortForClient", str(self._place.port))
        text = text.replace("$ServerPort", str(self._place.port))
        return nginx_conf.expand(text, self._env)

    def _run(self) -> Verdict:
        for name in [key for key, value in self._env.items() if value == ""]:
            self._env[name] = str(free_port())
        self._prepare()
        text = nginx_conf.render(self._spec, self._block, self._env, self._place.port)
        (self._place.servroot / "conf" / "nginx.conf").write_text(text, "latin-1")
        try:
            app = application.translate(text, self._place.servroot)
        except conf.ConfError as error:
            if self._block.has("must_die"):
                return Verdict(SKIPPED, ["nginx.conf that nginx itself refuses"])
            raise error
        path = self._place.servroot / "conf" / "app.lua"
        path.write_text(app.source, "latin-1")
        failure = self._zygote.start(self._job(app, path))
        if failure is not None:
            return self._not_started(failure)
        try:
            return self._serve()
        finally:
            self._zygote.stop(signal.SIGKILL)  # where _serve has not come to its end

    def _job(self, app: application.Application, path: Path) -> dict[str, Any]:
        home, servroot = self._place.directory, self._place.servroot
        gateway = None
        if self._has_gateway:
            gateway = apisix_conf.job(self._spec, home, servroot, self._admin_port)
        return {
            "gateway": gateway,
            **app.plain(),
            "source": "",
            "app": str(path),
            "cwd": str(self._place.directory),
            "servroot": str(self._place.servroot),
            "log": str(self._log),
            "master": bool(self._spec.settings.get("master_process_enabled")),
            "env": {**app.env, **{key: str(value) for key, value in self._env.items()}},
        }

    def _prepare(self) -> None:
        servroot = self._place.servroot
        for name in ("html", "logs", "conf", "client_body_temp", "proxy_temp"):
            (servroot / name).mkdir(parents=True)
        servroot.chmod(0o755)
        self._log.touch()
        (servroot / "html" / "index.html").write_text(_INDEX)
        if self._has_gateway:
            for name, text in apisix_conf.files(self._block, self._place.directory):
                path = servroot / "conf" / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(self._expand(text), "latin-1")
        self._write_files()

    def _write_files(self) -> None:
        files.write(
            self._block.sections.get("user_files"), self._place.servroot / "html", self._expand
        )

    def _not_started(self, failure: str) -> Verdict:
        skip = re.search(r"(?:^|\b)skip: ([^\n]*)", failure)
        if skip:
            return Verdict(SKIPPED, [skip[1]])
        if self._block.has("must_die"):
            wrong = [*checks.end(self._block)]
            wrong += checks.log(self._block, self._new_lines(), 0, self._expand)
            return Verdict(FAILED if wrong else PASSED, wrong)
        return Verdict(FAILED, ["the worker does not start: " + failure])

    def _serve(self) -> Verdict:
        wrong: list[str] = []
        if self._block.has("must_die"):
            wrong.append("must_die, but it serves")
        else:
            for run in range(self._spec.repeat):
                wrong = self._once(run)
                if wrong:
                    break
        before_end = self._zygote.alive()
        end = self._zygote.stop()
        if end:
            wrong.append(end)
        elif not before_end:
            wrong.append("the worker's process ended by itself")
        if not wrong:
            wrong += self._judge_log(0, "shutdown_")
        return Verdict(FAILED if wrong else PASSED, wrong)

    def _once(self, run: int) -> list[str]:
        """One repetition; gives what was wrong."""
        if run:
            self._write_files()
        started = mocks.started(self._block, self._expand, self._place.directory)
        try:
            wrong = list(self._requests(run))
            for mock in started:
                wrong += mock.problems()
        finally:
            for mock in started:
                mock.close()
        return wrong

    def _requests(self, run: int) -> Iterator[str]:
        block = self._block
        host = self._spec.settings.get("server_name", "localhost")
        requests = client.requests_of(block, host, self._expand)
        index, total = 0, sum(each.count for each in requests)
        seconds = block.seconds("timeout", self._timeout())
        shutdown = int(block.text("shutdown") or 1) if block.has("shutdown") else None
        address = (block.text("server_addr_for_client").strip() or "127.0.0.1", self._place.port)
        for request in requests:
            exchange = client.exchange(request, address, seconds, shutdown)
            if exchange.timed_out and not block.has("abort"):
                got = checks.shown(exchange.data)
                yield f"no end of the response within {seconds:g} s; got {got}"
            rest = exchange.data
            for _ in range(request.count):
                answer = client.parse(rest, request.head)
                rest = answer.left
                yield from checks.response(block, answer, index, total, self._expand)
                index += 1
                time.sleep(block.seconds("wait", 0))
                if index == total or _logs(block):
                    yield from self._judge_log(run)

    def _timeout(self) -> float:
        return spec.seconds(str(self._spec.settings.get("timeout", "")), _TIMEOUT)

    def _judge_log(self, run: int, prefix: str = "") -> list[str]:
        """What is wrong with the logs; gives lines that are late their time."""
        if not _logs(self._block, prefix):
            return []
        start = self._seen
        deadline = time.monotonic() + _SETTLE
        pause = _QUIET
        while True:
            time.sleep(pause)
            self._seen = start
            lines = self._new_lines()
            wrong = list(checks.log(self._block, lines, run, self._expand, prefix))
            if not prefix:
                wrong += checks.access_log(self._block, self._access_lines())
            if not wrong or time.monotonic() > deadline:
                return wrong
            pause *= 2

    def _log_text(self) -> str:
        return self._log.read_bytes().decode("latin-1") if self._log.exists() else ""

    def _access_lines(self) -> list[str]:
        path = self._log.with_name("access.log")
        return path.read_text("latin-1").splitlines() if path.exists() else []

    def _new_lines(self) -> list[str]:
        text = self._log_text()
        start = 0 if self._spec.accumulates else self._seen
        self._seen = len(text)
        return re.findall(r"[^\n]*\n|[^\n]+", text[start:])


def _logs(block: Block, prefix: str = "") -> bool:
    names = [f"{prefix}error_log", f"no_{prefix}error_log"]
    if not prefix:
        names += ["grep_error_log", "access_log", "no_access_log"]
    return any(block.has(name) for name in names)
