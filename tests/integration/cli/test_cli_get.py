"""`pygw get`: one request through the whole gateway, in the process of the command."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pygw.config.embedded import EmbeddedStore

CONFIG = """
deployment:
  role: data_plane
  role_data_plane: {config_provider: yaml}
plugins: [mocking, echo, request-id, serverless-pre-function]
pygw: {python_plugins: [waits.py]}
"""
ROUTES = """
routes:
  - {id: 1, uri: /mocked, plugins: {mocking: {response_example: "made up", response_status: 418}}}
  - id: 2
    uri: /echo
    plugins:
      serverless-pre-function:
        phase: access
        functions:
          - |
            return function()
              ngx.req.read_body()
              local var = ngx.var
              ngx.say(table.concat({ ngx.req.get_method(), var.request_uri, var.http_x_word or "-",
                var.host, var.content_type or "-", ngx.req.get_body_data() or "-" }, " "))
              ngx.exit(200)
            end
  - id: 3
    uri: /up
    upstream: {type: roundrobin, nodes: {"127.0.0.1:%d": 1}}
  - {id: 4, uri: /waits, plugins: {waits: {}}}
  - id: 5
    uri: /log
    plugins:
      serverless-pre-function:
        phase: log
        functions: ["return function() ngx.log(ngx.ERR, 'in the log phase') end"]
      mocking: {response_example: "logged"}
#END
"""
WAITS = """
import time
from pygw.plugin import Plugin, Response

class Waits(Plugin):
    name, priority, schema = "waits", 10, {"type": "object"}

    def access(self, conf, ctx):
        time.sleep(0.01)
        return Response(200, "waited")
"""
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def start(directory: Path, *options: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pygw", "get", *options],
        cwd=directory,
        capture_output=True,
        check=False,
        timeout=60,
        **more,
    )


@pytest.fixture
def get(tmp_path: Path) -> Run:
    """Run `pygw get` in a directory with a configuration."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "apisix.yaml").write_text(ROUTES % 1)
    (tmp_path / "waits.py").write_text(WAITS)
    return lambda *options, **more: start(tmp_path, *options, **more)


def test_the_body_and_nothing_else(get: Run) -> None:
    done = get("/echo")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"GET /echo - localhost - -\n"


def test_status_and_headers_when_asked(get: Run) -> None:
    head, _, body = get("-i", "/mocked").stdout.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    assert first.startswith("HTTP/1.1 418")
    assert any(field.startswith("Server: APISIX/") for field in fields)
    assert body.rstrip(b"\n") == b"made up"


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (["/echo?a=b%20c"], "GET /echo?a=b%20c - localhost - -"),
        (["-H", "X-Word: é", "/echo"], "GET /echo é localhost - -"),
        (["-H", "Host: example.com", "/echo"], "GET /echo - example.com - -"),
        (
            ["-d", "a=1", "-d", "b=2", "/echo"],
            "POST /echo - localhost application/x-www-form-urlencoded a=1&b=2",
        ),
        (
            ["-X", "PUT", "-H", "Content-Type: text/plain", "-d", "@-", "/echo"],
            "PUT /echo - localhost text/plain from stdin",
        ),
        (["-X", "DELETE", "/echo"], "DELETE /echo - localhost - -"),
    ],
)
def test_what_is_sent(get: Run, options: list[str], seen: str) -> None:
    done = get(*options, input=b"from stdin")
    assert done.stdout.decode() == seen + "\n", done.stderr


def test_head_has_no_body(get: Run) -> None:
    done = get("-i", "-X", "HEAD", "/mocked")
    assert done.returncode == 0
    assert done.stdout.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("path", "code", "body"), [("/mocked", 22, b""), ("/waits", 0, b"waited")])
def test_fail_as_curl(get: Run, path: str, code: int, body: bytes) -> None:
    done = get("--fail", path)
    assert (done.returncode, done.stdout) == (code, body)


def test_python_plugins_may_block(get: Run) -> None:
    assert get("/waits").stdout == b"waited"


def test_the_error_log_goes_to_stderr(get: Run) -> None:
    done = get("/up")
    assert done.returncode == 0
    assert b"502 Bad Gateway" in done.stdout
    assert b"[error]" in done.stderr
    assert b"Connection refused" in done.stderr


def test_the_log_phase_ends_first(get: Run) -> None:
    done = get("/log")
    assert done.stdout.rstrip() == b"logged"
    assert b"in the log phase" in done.stderr


def test_bodies_of_any_bytes_through_an_upstream(get: Run, tmp_path: Path, upstream: Any) -> None:
    body = bytes(range(256)) * 1000
    length = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "apisix.yaml").write_text(ROUTES % server.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "get", "/up"], cwd=tmp_path, stdout=subprocess.PIPE
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(length + body)
            assert process.communicate(timeout=60)[0] == body
    assert process.returncode == 0


def test_half_a_response_is_no_answer(get: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "apisix.yaml").write_text(ROUTES % server.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "get", "/up"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"hal")
    assert b"pygw: the response ends " in err


def test_what_takes_too_long_is_no_answer(get: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it never accepts
        (tmp_path / "apisix.yaml").write_text(ROUTES % server.getsockname()[1])
        done = get("--timeout", "0.3", "/up")
    assert done.returncode == 1
    assert b"pygw: no whole response within 0.3 s" in done.stderr


def test_ctrl_c_ends_it(get: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "apisix.yaml").write_text(ROUTES % server.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "get", "/up"], cwd=tmp_path, stderr=subprocess.PIPE
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            process.send_signal(signal.SIGINT)
            try:
                _, err = process.communicate(timeout=20)
            finally:
                process.kill()
    assert process.returncode == 1
    assert b"Traceback" not in err


def test_routes_of_the_embedded_store(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "plugins: [mocking]\ndeployment: {embedded: {path: s.db}}\n"
    )
    store = EmbeddedStore(tmp_path / "s.db")
    route = b'{"uri": "/m", "plugins": {"mocking": {"response_example": "stored"}}}'
    store.put(b"/apisix/routes/1", route)
    done = start(tmp_path, "/m")
    store.close()
    assert done.stdout.rstrip() == b"stored", done.stderr


def test_without_a_configuration_no_store_is_made(tmp_path: Path) -> None:
    done = start(tmp_path, "/x")
    assert b"404 Route Not Found" in done.stdout
    assert list(tmp_path.rglob("*.db*")) == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["x"], 2, '"x": must begin with "/"'),
        (["http://h/x"], 2, '"http://h/x": must begin with "/"'),
        (["/a b"], 2, '"/a b": escape what is no plain ASCII'),
        ([], 2, "Missing argument 'PATH'"),
        (["-X", "G T", "/"], 2, '"G T" is no method'),
        (["-H", "nothing", "/"], 2, '"nothing": must be "NAME: VALUE"'),
        (["-d", "@no.file", "/"], 2, "no.file: No such file"),
        (["-c", "no.yaml", "/"], 1, "pygw: no.yaml: "),
        (["-H", "X: a\nb", "/"], 1, "pygw: such a request cannot be sent: "),
    ],
)
def test_mistakes(get: Run, options: list[str], code: int, said: str) -> None:
    done = get(*options)
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("waits.py", "1/0", "ZeroDivisionError"),
        ("apisix.yaml", "routes: [\n#END\n", "apisix.yaml"),
        ("config.yaml", "plugins: 7\n", "plugins: "),
    ],
)
def test_a_gateway_that_cannot_start(
    get: Run, tmp_path: Path, file: str, text: str, said: str
) -> None:
    (tmp_path / file).write_text(text)
    done = get("/mocked")
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert b"pygw: " in done.stderr


def test_a_reader_that_goes_away(get: Run, tmp_path: Path) -> None:
    command = f"{sys.executable} -m pygw get /mocked | true"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert b"Traceback" not in done.stderr
