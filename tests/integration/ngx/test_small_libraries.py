"""resty.shell, resty.signal, ngx.errlog, ndk.set_var and the facades of resty.core, in a worker."""

import os
import signal
import subprocess

import pytest
from support.content import content_runner


@pytest.fixture
def run(app_server):
    """Run Lua as the body of a content handler; returns the lines of its answer."""
    return content_runner(app_server)


class TestShell:
    def test_runs_a_command_to_its_end(self, run):
        code = """
            local shell = require "resty.shell"
            say(shell.run("cat; printf err >&2; exit 3", "input"))
            say(shell.run({"printf", "%s", "a b"}))
            say(shell.run("kill -9 $$"))
        """
        assert run(code) == ["false input err exit 3", "true a b  exit 0", "false   signal 9"]

    def test_takes_no_more_than_it_was_told_to(self, run):
        code = """
            local shell = require "resty.shell"
            say(shell.run("printf 12345", nil, nil, 5))
            say(shell.run("printf 123456", nil, nil, 5))
            say(shell.run("printf 123456 >&2", nil, nil, 5))
        """
        assert run(code) == [
            "true 12345  exit 0",
            "nil 123456  failed to read stdout: too much data",
            "nil  123456 failed to read stderr: too much data",
        ]

    def test_ends_what_takes_too_long(self, run):
        code = """
            local shell = require "resty.shell"
            say(shell.run("echo $$; exec sleep 100", nil, 300))
        """
        first, second = run(code)
        assert second == "  failed to wait for process: timeout"
        pid = int(first.removeprefix("nil "))
        with pytest.raises(ProcessLookupError):  # the worker has ended since, and all its children
            os.kill(pid, 0)


class TestSignal:
    def test_knows_numbers_and_names(self, run):
        code = """
            local signal = require "resty.signal"
            for _, name in ipairs {"HUP", "USR1", "TERM", "SYS", "NONE", 42, "SIGHUP"} do
                say(signal.signum(name))
            end
            say(pcall(signal.signum, "INFO"))
        """
        assert run(code) == [
            *map(str, (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGSYS, 0, 42)),
            "nil unknown signal name",
            "false missing C def for signal INFO",
        ]

    def test_kills(self, run):
        with subprocess.Popen(["sleep", "100"]) as process:
            code = f"""
                local signal = require "resty.signal"
                say(signal.kill({process.pid}, "NONE"))
                say(signal.kill({process.pid}, "NO SUCH"))
                say(signal.kill({process.pid}, 15))
                say(signal.kill(2 ^ 31 - 1, "TERM"))
            """
            lines = run(code)
            assert process.wait(10) == -signal.SIGTERM
        assert lines == ["true", "nil unknown signal name", "true", "nil No such process"]


class TestErrlog:
    def test_keeps_lines_when_it_is_told_to(self, run):
        code = """
            local errlog = require "ngx.errlog"
            ngx.log(ngx.ERR, "one")
            ngx.log(ngx.WARN, "two")
            local logs = errlog.get_logs(1)
            say(#logs, logs[1], logs[2] == ngx.now(), logs[3])
            say(errlog.set_filter_level(ngx.ERR))
            ngx.log(ngx.WARN, "three")
            errlog.raw_log(ngx.ERR, "four")
            errlog.get_logs(10, logs)
            say(#logs, logs[3]:match("%[%a+%].-([a-z]+),"), logs[6]:match("#0: %*1 (%a+)"))
            say(#errlog.get_logs())
        """
        first, *others = run(code, settings="{capture_error_log = 4096}")
        assert first.startswith("3 4 true ")
        assert "[error]" in first
        assert "app.lua" in first
        assert others == ["true", "6 two four", "0"]

    def test_keeps_as_many_as_fit(self, run):
        code = """
            local errlog = require "ngx.errlog"
            for i = 1, 200 do ngx.log(ngx.ERR, "line ", i, ".") end
            local logs = errlog.get_logs(1000)
            local bytes, order = 0, true
            for i = 3, #logs, 3 do
                bytes = bytes + #logs[i]
                order = order and logs[i]:find("line " .. 200 - (#logs - i) / 3 .. ".", 1, true)
            end
            say(bytes > 3000 and bytes <= 4096, order ~= nil)
            ngx.log(ngx.ERR, ("x"):rep(5000))
            say(#errlog.get_logs())
        """
        assert run(code, settings="{capture_error_log = 4096}")[0] == "true true"

    def test_says_when_nothing_is_kept(self, run):
        code = """
            local errlog = require "ngx.errlog"
            say(errlog.get_logs())
            say(errlog.set_filter_level(4))
            say(errlog.set_filter_level())
        """
        unset = 'nil directive "lua_capture_error_log" is not set'
        assert run(code) == [unset, unset, 'nil missing "level" argument']

    def test_refuses_bad_levels_and_sizes(self, run, app_server):
        code = """
            local errlog = require "ngx.errlog"
            say(errlog.set_filter_level(9))
            say(errlog.set_filter_level(-1))
            say(pcall(errlog.raw_log, 9, "x"))
            say(pcall(errlog.raw_log, "x", "x"))
            say(pcall(errlog.raw_log, 1, 1))
        """
        assert run(code, settings="{capture_error_log = 5000}") == [
            "nil bad log level: 9",
            "nil bad log level: -1",
            "false bad log level",
            "false bad argument #1 to 'raw_log' (must be a number)",
            "false bad argument #2 to 'raw_log' (must be a string)",
        ]
        with pytest.raises(AssertionError, match="minimum size is 4096"):
            app_server("return { settings = {capture_error_log = 3072}, content = print }")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('set_escape_uri(" :")', "%20%3A"),
        ("set_escape_uri(1)", "1"),
        ('set_unescape_uri("a%20b")', "a b"),
        ('set_quote_sql_str("a\'b")', "'a\\'b'"),
        ('set_quote_pgsql_str("a\'b")', "E'a\\'b'"),
        ('set_quote_pgsql_str("")', "''"),
        ("set_quote_json_str('a\"b\\n\\1ü')", '"a\\"b\\n\\u0001ü"'),
        ('set_quote_json_str("")', "null"),
        ('set_encode_base64("hello")', "aGVsbG8="),
        ('set_decode_base64("aGVsbG8=")', "hello"),
        ('set_encode_base32("2011.10.13+0000")', "68o32c9e64o2sc9j5co30c1g"),
        ('set_encode_base32("a")', "c4"),
        ('set_decode_base32("68o32c9e64o2sc9j5co30c1g")', "2011.10.13+0000"),
        ('set_decode_base32("c4======")', "a"),
        ('set_encode_hex("ab")', "6162"),
        ('set_decode_hex("6162")', "ab"),
        ('set_md5("hello")', "5d41402abc4b2a76b9719d911017c592"),
        ('set_sha1("hello")', "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        ("set_local_today():gsub('%d', 'd')", "dddd-dd-dd 8"),
        ("set_secure_random_alphanum(64):find('^%w+$')", "1 64"),
        ("set_secure_random_lcalpha(9):find('^%l+$')", "1 9"),
    ],
)
def test_directives_are_functions(run, call, expected):
    assert run(f"say(ndk.set_var.{call})") == [expected]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ('ndk.set_var.set_decode_hex("a")', "calling directive set_decode_hex failed with code -1"),
        ('ndk.set_var.set_decode_base32("!")', "calling directive set_decode_base32 failed"),
        ("ndk.set_var.set_secure_random_lcalpha(65)", "failed with code -1"),
        ("ndk.set_var[1]()", 'ndk.set_var: directive "1" not found or does not use ndk_set_var'),
        ("ndk.set_var.set_md5 = 1", "not allowed"),
    ],
)
def test_directives_say_what_is_wrong(run, code, error):
    assert error in run(f"say(pcall(function() {code} end))")[0]


def test_the_facades_of_resty_core_are_there(run):
    code = """
        local version = require("resty.core").version
        for name in ([[base base64 coroutine exit hash ndk param phase regex request response shdict
            socket time uri utils var]]):gmatch("%S+") do
            local found = require("resty.core." .. name).version
            if found ~= version then say(name, found) end
        end
        for _, name in ipairs { "ctx", "misc", "worker" } do
            local found = require("resty.core." .. name)._VERSION
            if found ~= version then say(name, found) end
        end
        say(version)
    """
    assert run(code) == ["0.1.33"]


def test_what_the_facades_offer_works(run):
    code = """
        local response = require "resty.core.response"
        response.set_resp_header(nil, "X-A", 1)
        response.set_resp_header(nil, "X-A", 2, true)
        local misc = require "resty.core.misc"
        local kept = "first"
        misc.register_ngx_magic_key_getter("mine", function() return kept end)
        misc.register_ngx_magic_key_setter("mine", function(value) kept = value .. "!" end)
        say(ngx.mine)
        ngx.mine = "second"
        say(kept, ngx.mine, rawget(ngx, "mine"), ngx.status, ngx.headers_sent)
        local ctx = require "resty.core.ctx"
        local mine = {a = 1}
        say(ctx.get_ctx_table(mine) == mine, ngx.ctx.a, ctx.get_ctx_table({}) == mine)
        response.bypass_if_checks()
        say(table.concat(ngx.header["X-A"], ","))
        say(require("resty.core.utils").str_replace_char("a_b_c", "_", "-"))
        local time = require "resty.core.time"
        say(math.abs(time.monotonic_msec() / 1000 - time.monotonic_time()) < 0.002)
    """
    assert run(code) == [
        "first",
        "second! second! nil 200 true",
        "true 1 true",
        "1,2",
        "a-b-c",
        "true",
    ]
