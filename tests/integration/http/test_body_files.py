"""Request bodies in files: when they lie there, what the application sees, and that they go."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.app_server import AppServer
from support.http import Client
from support.upstream import Conversation, Upstream

Start = Callable[..., AppServer]
Serve = Callable[..., Upstream]

BIG = b"0123456789" * 30_000

READ = """
return {
    content = function()
        ngx.req.read_body()
        local path = ngx.req.get_body_file()
        ngx.print(path and io.open(path):read("*a") or ngx.req.get_body_data() or "-",
            ";", path or "-", ";", tostring(ngx.var.request_body_file), ";",
            #(ngx.var.request_body or ""))
    end,
}
"""


def left(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The directory for body files; the server makes it."""
    return tmp_path / "bodies"


@pytest.mark.parametrize("size", [17, 80, 81, 300_000])
def test_a_body_that_is_too_large_for_memory_lies_in_a_file(
    app_server: Start, spool: Path, size: int
) -> None:
    server = app_server(READ, client_body_buffer_size=64, client_body_temp_path=str(spool))
    text, path, variable, held = server.ask(method="POST", body=BIG[:size]).text.split(";")
    assert text.encode() == BIG[:size]
    if size <= 80:  # a quarter more than the buffer
        assert (path, variable, held) == ("-", "nil", str(size))
    else:
        assert path.startswith(f"{spool}/")
        assert (variable, held) == (path, "0")
        server.log.wait_for("a client request body is buffered to a temporary file " + path)
    server.settle()
    assert left(spool) == []


@pytest.mark.parametrize("size", [64, 65, 300_000])
def test_a_body_in_chunks_lies_in_a_file_when_it_passes_the_buffer(
    app_server: Start, spool: Path, size: int
) -> None:
    server = app_server(READ, client_body_buffer_size=64, client_body_temp_path=str(spool))
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, size, 1000):
            piece = BIG[at : min(at + 1000, size)]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        client.send("0\r\n\r\n")
        text, path, *_ = client.response().text.split(";")
        assert text.encode() == BIG[:size]
        assert (path == "-") == (size <= 64)
        assert client.ask(method="POST", body=b"next").text.startswith("next;")
    server.settle()
    assert left(spool) == []


@pytest.mark.parametrize("mode", ["on", "clean"])
def test_every_body_lies_in_a_file_when_told_so(app_server: Start, spool: Path, mode: str) -> None:
    server = app_server(READ, client_body_in_file_only=mode, client_body_temp_path=str(spool))
    with server.connect() as client:
        for body in (b"x", b"", BIG):
            text, path, *_ = client.ask(method="POST", body=body).text.split(";")
            assert text.encode() == body
            assert path != "-"
        assert client.ask().text == "-;-;nil;0"
    assert "temporary file" not in server.log.text
    server.settle()
    assert left(spool) == []


def test_without_a_directory_bodies_lie_where_temporary_files_do(
    app_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = app_server(READ)
    path = server.ask(method="POST", body=BIG).text.split(";")[1]
    assert Path(path).parent == tmp_path
    assert Path(path).name.startswith("pygw_body_")
    server.settle()
    assert left(tmp_path) == []


def test_names_that_are_taken_are_passed_over(app_server: Start, spool: Path) -> None:
    server = app_server(READ, client_body_in_file_only="on", client_body_temp_path=str(spool))
    first = Path(server.ask(method="POST", body=b"x").text.split(";")[1])
    taken = spool / f"{int(first.name) + 1:010d}"
    taken.write_text("mine")
    second = Path(server.ask(method="POST", body=b"y").text.split(";")[1])
    assert int(second.name) == int(first.name) + 2
    assert taken.read_text() == "mine"


def test_a_directory_that_cannot_be_made(app_server: Start, spool: Path) -> None:
    path = str(spool / "deeper")
    server = app_server(READ, client_body_in_file_only="on", client_body_temp_path=path)
    with server.connect() as client:
        assert client.ask(method="POST", body=b"x").status == 500
    assert "No such file or directory" in server.log.wait_for("[crit] ")


def test_a_body_in_a_file_is_as_large_as_it_may_be(app_server: Start, spool: Path) -> None:
    server = app_server(
        READ,
        client_max_body_size=1000,
        client_body_buffer_size=10,
        client_body_temp_path=str(spool),
    )
    with server.connect() as client:
        assert client.ask(method="POST", body=BIG[:1000]).status == 200
        assert client.ask(method="POST", body=BIG[:1001]).status == 413
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"1f4\r\n%s\r\n" % BIG[:500])
        client.send(b"1f5\r\n%s\r\n" % BIG[:501])
        assert client.response().status == 413
    server.settle()
    assert left(spool) == []


def _begin(client: Client, size: int, sent: bytes) -> None:
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + sent)


def test_a_client_that_leaves_within_its_body_leaves_no_file(
    app_server: Start, spool: Path
) -> None:
    server = app_server(READ, client_body_buffer_size=10, client_body_temp_path=str(spool))
    before = server.descriptors()
    with server.connect() as client:
        _begin(client, 1000, BIG[:500])
        server.log.wait_for("temporary file")
        assert len(left(spool)) == 1
    server.settle()
    assert left(spool) == []
    assert server.descriptors() == before


def test_a_body_that_comes_too_slowly_leaves_no_file(app_server: Start, spool: Path) -> None:
    server = app_server(
        READ, virtual=True, client_body_buffer_size=10, client_body_temp_path=str(spool)
    )
    with server.connect() as client:
        _begin(client, 1000, BIG[:500])
        server.log.wait_for("temporary file")
        server.advance(61)
        assert client.closed()
    server.settle()
    assert left(spool) == []


@pytest.mark.parametrize("how", ["ngx.exit(403)", "error('no')", "ngx.say('done') ngx.exit(444)"])
def test_however_a_request_ends_its_file_goes(app_server: Start, spool: Path, how: str) -> None:
    app = f"return {{ content = function() ngx.req.read_body() {how} end }}"
    server = app_server(app, client_body_in_file_only="on", client_body_temp_path=str(spool))
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
        client.read_all()
    server.settle()
    assert left(spool) == []


def test_the_log_phase_still_sees_the_file(app_server: Start, spool: Path) -> None:
    app = """
    return {
        content = function() ngx.req.read_body() ngx.say("ok") end,
        log = function()
            ngx.log(ngx.WARN, "in it: ", io.open(ngx.var.request_body_file):read("*a"), ".")
        end,
    }
    """
    server = app_server(app, client_body_in_file_only="on", client_body_temp_path=str(spool))
    server.ask(method="POST", body=b"abc")
    server.log.wait_for("in it: abc.")


PASS_ON = """
local balancer = require "ngx.balancer"
return {
    access = function() ngx.req.read_body() CODE end,
    balancer = function()
        if not ngx.ctx.tried then
            ngx.ctx.tried = true
            balancer.set_more_tries(1)
        end
        assert(balancer.set_current_peer("127.0.0.1", PORT))
    end,
}
"""


def collect(bodies: list[bytes], answers: list[bytes]) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        for head in conversation.requests():
            fields = dict(line.split(b": ") for line in head.split(b"\r\n")[1:-2])
            bodies.append(conversation.read_exactly(int(fields[b"Content-Length"])))
            if not answers:
                return
            conversation.send(answers.pop(0))

    return script


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_file_is_proxied(app_server: Start, upstream: Serve, spool: Path, size: int) -> None:
    bodies: list[bytes] = []
    peer = upstream(collect(bodies, [ANSWER, ANSWER]))
    app = PASS_ON.replace("CODE", "").replace("PORT", str(peer.port))
    server = app_server(app, client_body_buffer_size=10, client_body_temp_path=str(spool))
    with server.connect() as client:
        for _ in range(2):
            assert client.ask(method="POST", body=BIG[:size]).text == "ok"
    assert bodies == [BIG[:size]] * 2
    server.settle()
    assert left(spool) == []


def test_a_file_is_sent_again_to_the_next_peer(
    app_server: Start, upstream: Serve, spool: Path
) -> None:
    bodies: list[bytes] = []
    answers: list[bytes] = []

    def script(conversation: Conversation) -> None:
        if conversation.number == 2:
            answers.append(ANSWER)
        collect(bodies, answers)(conversation)

    app = PASS_ON.replace("CODE", "").replace("PORT", str(upstream(script).port))
    server = app_server(app, client_body_buffer_size=10, client_body_temp_path=str(spool))
    assert server.ask(method="PUT", body=BIG).text == "ok"
    assert bodies == [BIG] * 2


def test_a_file_that_shrinks_while_it_is_sent(
    app_server: Start, upstream: Serve, spool: Path
) -> None:
    peer = upstream(collect([], []))
    cut = 'io.open(ngx.req.get_body_file(), "w"):close()'
    app = PASS_ON.replace("CODE", cut).replace("PORT", str(peer.port))
    server = app_server(app, client_body_buffer_size=10, client_body_temp_path=str(spool))
    assert server.ask(method="POST", body=BIG).status == 500
    server.settle()
    assert left(spool) == []


def test_a_file_of_the_application_takes_the_body_s_place(
    app_server: Start, upstream: Serve, tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_bytes(BIG)
    other.write_bytes(b"other")
    bodies: list[bytes] = []
    peer = upstream(collect(bodies, [ANSWER, ANSWER]))
    code = 'ngx.req.set_body_file(ngx.var.arg_file, ngx.var.arg_clean == "1")'
    app = PASS_ON.replace("CODE", code).replace("PORT", str(peer.port))
    server = app_server(app)
    with server.connect() as client:
        assert client.ask(f"/?file={mine}", method="POST", body=b"x").text == "ok"
        assert client.ask(f"/?file={other}&clean=1").text == "ok"
    assert bodies == [BIG, b"other"]
    server.settle()
    assert mine.exists()
    assert not other.exists()
