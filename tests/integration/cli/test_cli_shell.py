"""`pygw shell`: Lua and Python inside a worker, typed at a terminal or sent by a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 20.0  # seconds
SHELL = [sys.executable, "-m", "pygw", "shell"]


def piped(directory: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELL, *options],
        cwd=directory,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1 + 1", "2"),
        ("2 -- two", "2"),
        ("return ngx.time() > 1e9", "true"),
        ("local x = 20\nx = x + 1\nreturn x, nil, 'text'", '21\tnil\t"text"'),
        ("a = 5\nfunction f(x)\n  return x * 2\nend\nf(a)", "10"),
        ("1\n2", "1\n2"),  # no chunk, so line by line
        ("print('a', nil, 1)", "a\tnil\t1"),
        ("x = 1", ""),
        ("", ""),
        ("return { 1, 2, name = 'Ann', { 3 } }", '{ 1, 2, { 3 },\n  name = "Ann"\n}'),
        ("local t = {} t.t = t return t", "<1>{\n  t = <table 1>\n}"),
        ("return 'é'", '"é"'),
        ("ngx.sleep(0.01) return 'slept'", '"slept"'),
        ("return require('apisix.core').json.encode({ 1 })", '"[1]"'),
        ("return require('apisix.plugins.limit-count').priority", "1002"),
        ("return ngx.shared['plugin-limit-count']:incr('k', 1, 0)", "1\tnil\tfalse"),
        (
            "t = ngx.thread.spawn(function() ngx.sleep(0) return 7 end)\nngx.thread.wait(t)",
            "true\t7",
        ),
        ("ngx.exit(0)", ""),
        (":python\n1 + 1\nx = 3\nx", "2\n3"),
        (":python\nimport time\ntime.sleep(0.01)\nfor i in range(2):\n  i\n", "0\n1"),
        (":python lua('return { a = 1 }')['a'] + 1", "2"),
        (":python\ngateway.id\n:lua 1\n'python still'\n:lua\n3", "0\n1\n'python still'\n3"),
        (":quit\n1", ""),
    ],
)
def test_what_a_pipe_brings(tmp_path: Path, code: str, shown: str) -> None:
    done = piped(tmp_path, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip("\n") == shown


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("local function f() error('bad') end\nf()", "prompt:1: bad\nstack traceback:\n"),
        ("error({ code = 7 })", "code = 7"),
        ("return nothing.name", "prompt:1: attempt to index global 'nothing' (a nil value)"),
        ("x = = 1", "prompt:1: unexpected symbol near '='"),
        ("function f(", "prompt: the end is missing"),
        ("coroutine.wrap(function() error('inner') end)()", "prompt:1: inner"),
        (":python 1/0", 'File "<prompt>", line 1'),
        (":python\nx = = 1", "SyntaxError: invalid syntax"),
        (":python lua('error(1)')", "LuaFailure"),
        (":python lua('x = =')", "unexpected symbol"),
        (":nonsense", "no command :nonsense; :help tells them"),
    ],
)
def test_the_first_failure_is_the_end(tmp_path: Path, code: str, said: str) -> None:
    done = piped(tmp_path, f"{code}\n:lua print('not this')\n")
    assert done.returncode == 1
    assert said in done.stderr
    assert "not this" not in done.stdout
    assert "prompt.lua" not in done.stderr


def test_what_is_huge_is_shown_less_deep(tmp_path: Path) -> None:
    deep = "t = { short = {} } for i = 1, 4000 do t.short[i] = i end"
    done = piped(tmp_path, f"{deep}\nreturn t, {{ {{ {{ 1 }} }} }}")
    assert done.stdout == "{\n  short = {...}\n}\n{ { { 1 } } }\n"


def test_plugins_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.lua").write_text(
        "return { name = 'mine', priority = 7, version = 1, schema = {},"
        " check_schema = function() return true end }"
    )
    config = tmp_path / "other.yaml"
    config.write_text("plugins: [mine]\npygw: {plugin_dirs: [.]}\n")
    code = "return require('apisix.plugin').get('mine').priority"
    assert piped(tmp_path, code, "-c", "other.yaml").stdout == "7\n"


def test_a_configuration_that_does_not_do(tmp_path: Path) -> None:
    done = piped(tmp_path, "1", "-c", "no.yaml")
    assert done.returncode == 1
    assert "pygw: no.yaml: " in done.stderr


class Person:
    """Somebody at a terminal."""

    def __init__(self, directory: Path) -> None:
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.chdir(directory)
            environment = {**os.environ, "HOME": str(directory), "TERM": "dumb"}
            os.execve(sys.executable, SHELL, environment)
        self.seen = ""

    def sees(self, pattern: str) -> str:
        """Wait for what the pattern says; returns all until there."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"not seen: {pattern!r} in {self.seen!r}"
            try:
                chunk = os.read(self._fd, 65536)
            except OSError:  # the terminal's other end is closed
                chunk = b""
            assert chunk, f"not seen: {pattern!r} in {self.seen!r}"
            self.seen += chunk.decode("utf-8", "replace")
        until, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return until

    def types(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def leaves(self) -> int:
        """Press Ctrl-D; returns the exit code."""
        self.types("\x04")
        return self.waits()

    def waits(self) -> int:
        """Wait for the end."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            try:
                if ready and not os.read(self._fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    person = Person(tmp_path)
    try:
        person.sees("lua> ")
        yield person
    finally:
        try:
            os.kill(person.pid, signal.SIGKILL)
            os.waitpid(person.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        person.close()


def test_a_dialogue(person: Person, tmp_path: Path) -> None:
    person.types("1 + 41\n")
    person.sees(r"\n42\r\nlua> ")
    person.types("function f(x)\n")
    person.sees(r"\.\.\. ")
    person.types("return x .. '!'\nend\nf('hi')\n")
    person.sees(r'\n"hi!"\r\nlua> ')
    person.types("error('bad')\n")
    person.sees(r"prompt:1: bad\r\n(.*\r\n)*lua> ")
    person.types(":python\n")
    person.sees("py> ")
    person.types("sum(\n")
    person.sees(r"\.\.\. ")
    person.types("[1, 2])\n")
    person.sees(r"\n3\r\npy> ")
    person.types(":lua f('there')\n")
    person.sees(r'\n"there!"\r\npy> ')
    assert person.leaves() == 0
    history = (tmp_path / ".pygw_history").read_text()
    assert "1 + 41\nfunction f(x)\n" in history


def test_the_last_line_comes_back_by_the_arrow(person: Person) -> None:
    person.types("6 * 7\n")
    person.sees(r"\n42\r\nlua> ")
    person.types("\x1b[A\n")
    person.sees(r"\n42\r\nlua> ")


@pytest.mark.parametrize(
    "code", ["ngx.sleep(1000)", "while true do end", "local s = ngx.thread.wait(nothing_)"]
)
def test_ctrl_c_ends_what_runs(person: Person, code: str) -> None:
    person.types(f"print('begins') {code}\n")
    person.sees(r"\nbegins\r\n")
    if "nothing_" not in code:
        person.types("\x03")
        person.sees("interrupted")
    person.sees("lua> ")
    person.types("'still ' .. 'here'\n")
    person.sees(r'\n"still here"\r\nlua> ')


def test_ctrl_c_ends_the_line_that_is_typed(person: Person) -> None:
    person.types("x = {\n")
    person.sees(r"\.\.\. ")
    person.types("\x03")
    person.sees("lua> ")
    person.types("type(x)\n")
    person.sees(r'\n"nil"\r\nlua> ')


def test_ctrl_c_ends_python_that_waits(person: Person) -> None:
    person.types(":python import time; print('begins'); time.sleep(1000)\n")
    person.sees(r"\nbegins\r\n")
    person.types("\x03")
    person.sees("KeyboardInterrupt")
    person.types("1 + 1\n")
    person.sees(r"\n2\r\nlua> ")


def test_the_worker_goes_on_while_nobody_types(person: Person) -> None:
    person.types(
        "ngx.timer.at(0.05, function() io.stdout:write('tick\\n') io.stdout:flush() end)\n"
    )
    person.sees(r"tick\r\n")


def test_a_socket_lasts_from_line_to_line(person: Person) -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1],"
            " flush=True); c = s.accept()[0]; c.sendall(c.recv(99).upper())",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        person.types(f"s = ngx.socket.tcp() s:connect('127.0.0.1', {port})\n")
        person.sees("lua> ")
        person.types("s:send('hello\\n')\n")
        person.sees(r"\n6\r\nlua> ")
        person.types("s:receive()\n")
        person.sees(r'\n"HELLO"\r\nlua> ')
