"""Every example does what its README says: the commands are run, the output is compared.

A `console` block holds commands ("$ …") and what each prints. A command of SERVERS is started and
left running once it has printed its lines. A `text` block is what the gateway's log shows. "…"
stands for any text; well-known ports become free ones.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 30.0  # seconds before a test gives up on an event
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
ROOT = EXAMPLES.parent
SERVERS = ("pygw run", "python ../demo_upstream.py", "python risk_service.py", "etcd ")
PORTS = {
    "GATEWAY_PORT": "9080",
    "CONTROL_PORT": "9090",
    "UPSTREAM_PORT": "1980",
    "SERVICE_PORT": "1981",
    "STORE_PORT": "2379",
    "STORE_PEER_PORT": "2380",
}
PACKAGES = {"etcd": "etcd-server", "etcdctl": "etcd-client", "curl": "curl"}


def free_ports() -> dict[str, str]:
    """A free port for each of PORTS."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    found = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(PORTS, found, strict=True))


@dataclass
class Step:
    """A command and what it prints, or (command "") what the log shows."""

    command: str
    expected: str


def steps(readme: str) -> Iterator[Step]:
    """The steps of a README, in order."""
    for kind, block in re.findall(r"^```(console|text)\n(.*?)^```$", readme, re.M | re.S):
        if kind == "text":
            yield Step("", block)
            continue
        assert block.startswith("$ "), f"a console block begins with a command: {block}"
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            yield Step(command, expected)


def matches(expected: str, printed: str) -> bool:
    """Whether `printed` is what a README says, "…" being anything."""
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, printed, re.S) is not None


class Runner:
    """Runs steps in a directory; `stop` ends what they left running."""

    def __init__(self, directory: Path, ports: dict[str, str]) -> None:
        self.directory, self.ports = directory, ports
        path = f"{directory.parent}/bin{os.pathsep}{os.environ['PATH']}"
        installed = f"{directory.parent}/installed"  # what an example installs, it alone has
        python_path = f"{ROOT}{os.pathsep}{installed}"
        self.env = {**os.environ, **ports, "PATH": path, "PYTHONPATH": python_path}
        self.env["PIP_TARGET"] = installed
        self.servers: list[subprocess.Popen[str]] = []
        self.log = ""
        self.grown = threading.Condition()
        self.readers: list[threading.Thread] = []

    def with_our_ports(self, text: str) -> str:
        for name, port in PORTS.items():
            text = re.sub(rf"\b{port}\b", self.ports[name], text)
        return text

    def run(self, step: Step) -> None:
        command, expected = self.with_our_ports(step.command), self.with_our_ports(step.expected)
        if not command:
            self.wait_for_log(expected)
        elif command.startswith(SERVERS):
            self.serve(command, expected)
        else:
            self.ask(command, expected)

    def serve(self, command: str, expected: str) -> None:
        """Start a server and read the lines that it prints first."""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.servers.append(server)
        reader = threading.Thread(target=self.read_log, args=(server,))
        reader.start()
        self.readers.append(reader)
        assert server.stdout
        printed = "".join(server.stdout.readline() for _ in expected.splitlines())
        assert matches(expected, printed), f"$ {command}\n{printed}{self.log}"
        if command.startswith("etcd "):
            self.wait_for_port(int(self.ports["STORE_PORT"]))

    def read_log(self, server: subprocess.Popen[str]) -> None:
        assert server.stderr
        with server.stderr:
            for line in server.stderr:
                with self.grown:
                    self.log += line
                    self.grown.notify_all()

    def wait_for_log(self, expected: str) -> None:
        lines = expected.splitlines()
        pattern = r"\n(?:.*\n)*?".join(
            ".*".join(map(re.escape, line.split("…"))) + ".*" for line in lines
        )
        with self.grown:
            found = self.grown.wait_for(lambda: re.search(pattern, self.log), PATIENCE)
            assert found, f"the log does not show\n{expected}\nbut\n{self.log}"

    def wait_for_port(self, port: int) -> None:
        """Return when something listens there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert time.monotonic() < deadline, f"nothing listens on {port}:\n{self.log}"

    def ask(self, command: str, expected: str) -> None:
        """Run a command to its end. A question to the gateway is asked until the answer fits:
        a change that was just made takes some milliseconds to arrive."""
        deadline = time.monotonic() + (PATIENCE if command.startswith("curl") else 0)
        while True:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.directory,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            printed = done.stdout.replace("\r\n", "\n")
            if matches(expected, printed):
                return
            assert time.monotonic() < deadline, (
                f"$ {command}\n{printed}{done.stderr}\ninstead of\n{expected}\nlog:\n{self.log}"
            )

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.terminate()
        for server in self.servers:
            server.wait(PATIENCE)
            assert server.stdout
            server.stdout.close()
        for reader in self.readers:
            reader.join(PATIENCE)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """Runs in a copy of examples/, with `python` and `pygw` of this environment."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("run", "__pycache__"))
    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name, module in [("python", ""), ("pygw", "-m pygw "), ("pip", "-m pip ")]:
        (scripts / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (scripts / name).chmod(0o755)
    runner = Runner(copy, free_ports())
    yield runner
    runner.stop()


WITH_README = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))


def test_the_examples_are_all_here() -> None:
    named = {"quickstart", "lua-plugin", "io-in-filters", "etcd", "hooks-package"}
    named |= {"python-plugin", "python-auth-sqlite", "python-calls-service"}
    assert named <= set(WITH_README)


@pytest.mark.parametrize("name", WITH_README)
def test_an_example_does_what_its_readme_says(name: str, runner: Runner) -> None:
    found = list(steps((EXAMPLES / name / "README.md").read_text()))
    for program in {step.command.split(" ")[0] for step in found} & PACKAGES.keys():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt install {PACKAGES[program]}")
    runner.directory /= name
    for step in found:
        runner.run(step)
