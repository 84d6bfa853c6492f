"""A checkout of its own in which `make run` runs, as a user has it, on free ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

PATIENCE = 60.0  # seconds before a test gives up on an event
ROOT = Path(__file__).resolve().parents[3]
PORTS = {"GATEWAY_PORT": "9080", "ADMIN_PORT": "9180"}
PORTS |= {"CONTROL_PORT": "9090", "UPSTREAM_PORT": "1980"}
LAST_LINE = "Stop with ^C.\n"


def free_ports() -> dict[str, str]:
    """A free port for each of PORTS."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    found = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(PORTS, found, strict=True))


def _outside_of_make() -> dict[str, str]:
    """The environment without what `make test` leaves there: the demo is not its sub-make."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}


def without_make(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment that says nothing of the `make test` which may be running these tests."""
    of_make = ("MAKE", "MFLAGS", "VENV", "PYTHON")
    return {name: value for name, value in environment.items() if not name.startswith(of_make)}


class Demo:
    """`make run` in `checkout`; `said` is what it has printed, `exit_code` what it ended with."""

    def __init__(self, checkout: Path, ports: dict[str, str]) -> None:
        self._ports = ports
        self._process = subprocess.Popen(
            ["make", "run"],
            cwd=checkout,
            env={**_outside_of_make(), **ports, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # ^C reaches a whole foreground group, and no one else
        )
        self.said = ""
        impatient = threading.Timer(PATIENCE, self.interrupt)
        impatient.start()
        assert self._process.stdout
        for line in self._process.stdout:
            self.said += line
            if line == LAST_LINE:
                break
        impatient.cancel()
        impatient.join()

    def with_its_ports(self, text: str) -> str:
        """A text with the ports that this demo has in place of the usual ones."""
        for name, usual in PORTS.items():
            text = text.replace(usual, self._ports[name])
        return text

    def interrupt(self) -> None:
        """^C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Wait until all of it has ended; returns make's exit code, negative for a signal."""
        rest, _ = self._process.communicate(timeout=PATIENCE)  # all have closed their output
        self.said += rest
        return self._process.returncode

    def stop(self) -> None:
        if self._process.poll() is None:
            self.interrupt()
            self.wait()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `make run` has been run before, so that it installs nothing."""
    for program in ("make", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"needs Debian's {program}")
    checkout = tmp_path_factory.mktemp("demo") / "pygw"
    left_out = shutil.ignore_patterns("run", "__pycache__")
    shutil.copytree(ROOT / "examples", checkout / "examples", ignore=left_out)
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv" / ".installed-run").touch()
    return checkout


@pytest.fixture(scope="module")
def demo(checkout: Path) -> Iterator[Demo]:
    """The demo, running."""
    demo = Demo(checkout, free_ports())
    yield demo
    demo.stop()


@pytest.fixture
def run_demo(checkout: Path) -> Iterator[Callable[..., Demo]]:
    """Run one more in a checkout of its own: run_demo(ADMIN_PORT="80"); returns when it serves."""
    started: list[Demo] = []
    own = checkout.with_name("second")
    shutil.copytree(checkout, own, ignore=shutil.ignore_patterns("run"))

    def run(**ports: str) -> Demo:
        started.append(Demo(own, {**free_ports(), **ports}))
        return started[-1]

    yield run
    for each in started:
        each.stop()
    shutil.rmtree(own)


def ask(command: str) -> str:
    """Run a command line as if it were pasted into a shell; returns what it prints."""
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return done.stdout.replace("\r\n", "\n")


@pytest.fixture
def paste() -> Callable[[str], str]:
    """paste(COMMAND) -> what it prints."""
    return ask
