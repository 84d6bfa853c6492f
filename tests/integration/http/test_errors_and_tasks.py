"""Errors in every phase are answered, logged and survived; tasks that are ended, or cannot wait,
leave the connection in order.
"""

import re
from collections.abc import Callable

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

PHASES = ["rewrite", "access", "content", "header_filter", "body_filter", "log"]
FAILING = """
local function fail()
    error("oops")
end
return {
    PHASE = function()
        if ngx.var.arg_fail == "now" then
            fail()
        end
        if ngx.get_phase() == "content" then
            ngx.say("fine")
        end
    end,
    CONTENT
}
"""
SAY = 'content = function() ngx.say("fine") end,'


@pytest.mark.parametrize("phase", PHASES)
def test_an_error_is_answered_logged_and_survived(app_server: Start, phase: str) -> None:
    content = "" if phase == "content" else SAY
    server = app_server(FAILING.replace("PHASE", phase).replace("CONTENT", content))
    for count in (1, 2):
        answer = server.ask("/?fail=now")
        assert answer.status == (200 if phase == "log" else 500)
        assert server.ask("/").text == "fine\n"
        log = server.log.wait_for("oops", count=count)
    what, stack = "lua entry thread aborted: runtime error", "coroutine 0:\n"
    if phase in ("header_filter", "body_filter", "log"):
        what, stack = rf"failed to run {phase}_by_lua\*", ""
    action = " while logging request" if phase == "log" else ""
    entry = (
        rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] {server.pid}#0: \*\d+ {what}: "
        rf"/\S+/app\.lua:3: oops\nstack traceback:\n{stack}"
        r"\t\[C\]: in function 'error'\n\t/\S+/app\.lua:3: in function 'fail'\n(\t.*\n)*\t.*"
        rf"{action}, client: 127\.0\.0\.1, server: , "
        r'request: "GET /\?fail=now HTTP/1\.1", host: "test"\n'
    )
    assert len(re.findall(entry, log)) == 2


def test_an_error_in_a_timer(app_server: Start) -> None:
    source = """
    return { content = function()
        ngx.timer.at(0, function() error("oops") end)
        ngx.say("fine")
    end }
    """
    server = app_server(source)
    assert server.ask().text == "fine\n"
    log = server.log.wait_for("oops")
    assert "lua entry thread aborted: runtime error: " in log
    assert ", context: ngx.timer" in log
    assert server.ask().text == "fine\n"


def test_an_error_in_a_light_thread_shows_who_spawned_it(app_server: Start) -> None:
    source = """
    return { content = function()
        ngx.thread.spawn(function() error("oops") end)
        ngx.say("fine")
    end }
    """
    server = app_server(source)
    assert server.ask().text == "fine\n"
    log = server.log.wait_for("coroutine 1:")
    assert "lua user thread aborted: runtime error: " in log
    assert 'request: "GET / HTTP/1.1"' in log


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("error()", 500),
        ("error({})", 500),
        ('error(setmetatable({}, { __tostring = function() error("again") end }))', 500),
        ("local function f() return f() + 1 end f()", 500),
        ("local x = nil + 1", 500),
        ("string.rep()", 500),
        ("coroutine.wrap(function() error('in a coroutine') end)()", 500),
        ("coroutine.yield() error('after a yield')", 500),
        ("ngx.sleep(0) error('after a sleep')", 500),
        ("ngx.say('x') error('after output')", 500),
        ("ngx.say('x') ngx.flush() error('after a flush')", None),
        ("ngx.say('x') ngx.eof() error('after the end')", 200),
    ],
)
def test_every_kind_of_error(app_server: Start, code: str, status: int | None) -> None:
    server = app_server(f"return {{ content = function() {code} end }}")
    for _ in range(2):
        with server.connect() as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if status:
                assert client.response().status == status
            else:
                assert not client.read_all().endswith(b"0\r\n\r\n")
    server.log.wait_for("runtime error", count=2)


BELOW_C = """
return { content = function()
    local ok, err = pcall(string.gsub, "a", "a", function() CODE end)
    ngx.say(ok, " ", err:match("attempt to yield across C%-call boundary"))
    ngx.sleep(0.01)
    ngx.say("goes on")
end }
"""


@pytest.mark.parametrize(
    "code",
    [
        "ngx.sleep(0.005)",
        "ngx.exit(403)",
        "ngx.thread.spawn(function() end)",
        'ngx.socket.tcp():connect("127.0.0.1", 1)',
        'require("ngx.semaphore").new(0):wait(0.005)',
    ],
)
def test_what_cannot_wait_fails_and_is_forgotten(app_server: Start, code: str) -> None:
    server = app_server(BELOW_C.replace("CODE", code))
    for _ in range(2):
        text = "false attempt to yield across C-call boundary\ngoes on\n"
        assert server.ask().text == text


def test_light_threads_that_print_at_once_share_the_connection(app_server: Start) -> None:
    source = """
    return { content = function()
        for i = 1, 5 do
            ngx.thread.spawn(function()
                for j = 1, 4 do
                    assert(ngx.print(string.rep(i, 100000)))
                    assert(ngx.flush(true))
                end
            end)
        end
    end }
    """
    server = app_server(source)
    with server.connect(buffer=8192) as client:
        for _ in range(2):
            body = client.ask().body
            assert len(body) == 5 * 4 * 100_000
            assert {body.count(b"%d" % i) for i in range(1, 6)} == {400_000}


def test_a_thread_that_is_killed_while_it_prints_breaks_nothing(app_server: Start) -> None:
    source = """
    return { content = function()
        local one = ngx.thread.spawn(function()
            ngx.print(("1"):rep(5000000))
            ngx.print("never")
        end)
        local two = ngx.thread.spawn(function() ngx.print(("2"):rep(100)) ngx.flush(true) end)
        ngx.sleep(1)
        ngx.thread.kill(one)
        ngx.say("end")
    end }
    """
    server = app_server(source, virtual=True)
    with server.connect(buffer=8192) as client:
        for _ in range(2):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            server.advance(1.5)
            text = client.response().text
            assert text == "1" * 5_000_000 + "2" * 100 + "end\n"


def test_a_client_that_goes_away_ends_what_prints_to_it(app_server: Start) -> None:
    source = """
    return { content = function()
        local piece, ok, err = ("x"):rep(100000)
        repeat
            ok, err = ngx.print(piece)
            ngx.sleep(0)
        until not ok
        ngx.log(ngx.WARN, "told: ", err)
    end }
    """
    server = app_server(source)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_exactly(10)
    server.log.wait_for("told: nginx output filter error")


def test_a_request_s_threads_and_timers_outlive_nothing_but_themselves(app_server: Start) -> None:
    source = """
    return { content = function()
        ngx.thread.spawn(function() ngx.sleep(5) ngx.log(ngx.WARN, "never") end)
        ngx.timer.at(5, function() ngx.log(ngx.WARN, "later") end)
        ngx.exit(200)
    end }
    """
    server = app_server(source, virtual=True)
    assert server.ask().status == 200
    server.advance(6)
    assert "never" not in server.log.wait_for("later")


def test_timers_hear_of_the_worker_s_end(app_server: Start) -> None:
    source = """
    local function tell(premature, name)
        ngx.log(ngx.WARN, name, " ", premature, " ", ngx.worker.exiting())
    end
    return {
        init_worker = function()
            ngx.timer.at(100, tell, "at")
            ngx.timer.every(10, tell, "every")
        end,
        content = function() ngx.say("x") end,
    }
    """
    server = app_server(source, virtual=True)
    server.advance(25)
    server.log.wait_for("every false false", count=2)
    server.quit()
    assert server.wait() == 0
    log = server.log.text
    assert log.count("at true true") == 1
    assert log.count("every true true") == 1


def test_contexts_are_of_one_request_each(app_server: Start) -> None:
    source = """
    return { content = function()
        ngx.ctx.seen = (ngx.ctx.seen or 0) + 1
        ngx.thread.spawn(function() ngx.ctx.seen = ngx.ctx.seen + 10 ngx.sleep(0) end)
        ngx.sleep(0.01)
        ngx.say(ngx.ctx.seen)
    end }
    """
    server = app_server(source)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        assert [client.response().text for _ in range(3)] == ["11\n"] * 3
