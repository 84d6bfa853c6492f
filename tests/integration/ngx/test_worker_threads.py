"""ngx.run_worker_thread: Lua functions in threads of their own, what goes in and what comes out."""

import pytest

MODULE = """
local _M = {}
function _M.echo(...) return select("#", ...), ... end
function _M.fail() error("wrong here") end
function _M.fail_with_table() error({}) end
function _M.give_function() return {{print}} end
function _M.give_holes() return nil, 1, nil end
function _M.block(seconds) os.execute("sleep " .. seconds) return "slept" end
function _M.size() return collectgarbage("count") end
function _M.big() return ("x"):rep(1e7) end
function _M.global() seen = (seen or 0) + 1 return seen, package.path == nil end
function _M.api(name) return type(ngx[name]) end
function _M.python() return type(python) end
function _M.strings()
    return ngx.encode_base64("hello"), ngx.md5("x"), ngx.escape_uri("a b"), ngx.crc32_short("x"),
        ngx.encode_args({a = 1}), ngx.config.subsystem, ngx.null
end
function _M.depth(t) local n = 0 while t do n, t = n + 1, t.deeper end return n end
function _M.log(text) ngx.log(ngx.ERR, text) end
return _M
"""

APP = """
local function show(value)
    if type(value) ~= "table" then return tostring(value) end
    return require("cjson").encode(value)
end
function say(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = show((select(i, ...))) end
    ngx.say(table.concat(parts, " "))
end
function run(...) say(ngx.run_worker_thread("pool", "job", ...)) end
"""


@pytest.fixture
def server(app_server, tmp_path):
    """Start an app whose content is Lua code; the module "job" is found by its threads too."""
    (tmp_path / "job.lua").write_text(MODULE)
    (tmp_path / "no_table.lua").write_text("return 1")

    def start(code, pool="threads = 2", **settings):
        head = f"""
            package.path = package.path .. ";{tmp_path}/?.lua"
            require("server.settings").thread_pool = {{pool = {{{pool}}}}}
        """
        source = f"{head} {APP} return {{ content = function() {code} end }}"
        return app_server(source, **settings)

    return start


@pytest.fixture
def lines(server):
    def ask(code, **options):
        response = server(code, **options).ask()
        assert response.status == 200
        return response.text.splitlines()

    return ask


def test_copies_arguments_and_results(lines):
    assert lines(
        """
        run("echo")
        run("echo", nil, true, -1.5, "a\\0b", nil)
        run("echo", {1, {x = "y"}}, ngx.null)
        run("give_holes")
        local key = {}
        say(#select(3, ngx.run_worker_thread("pool", "job", "echo", {[{1}] = 1})))
        """
    ) == [
        "true 0",
        "true 5 nil true -1.5 a\0b nil",
        'true 2 [1,{"x":"y"}] userdata: NULL',
        "true nil 1 nil",
        "0",
    ]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('say(ngx.run_worker_thread("pool", "job"))', "expecting at least 3 arguments"),
        ('say(ngx.run_worker_thread("none", "job", "echo"))', "thread pool none not found"),
        ('say(ngx.run_worker_thread({}, "job", "echo"))', "threadpool should be a string"),
        ('say(ngx.run_worker_thread("pool", {}, "echo"))', "module name should be a string"),
        ("run(print)", "function name should be a string"),
        ('run("nothing")', "invalid function"),
        ('say(ngx.run_worker_thread("pool", "no_table", "x"))', "invalid lua module"),
        ('run("echo", print)', "unsupported Lua type: LUA_TFUNCTION in the argument"),
        ('run("echo", {{print}})', "unsupported Lua type: LUA_TFUNCTION in the argument"),
        (
            'run("echo", coroutine.create(print))',
            "unsupported Lua type: LUA_TTHREAD in the argument",
        ),
        ('run("echo", newproxy())', "unsupported Lua type: LUA_TUSERDATA in the argument"),
        ('run("echo", 1LL)', "unsupported Lua type in the argument"),
        ('run("give_function")', "unsupported Lua type: LUA_TFUNCTION in the return value"),
        (
            'local t = {} t.t = t run("echo", t)',
            "suspicious circular references, table depth exceed max depth: 100 in the argument",
        ),
    ],
)
def test_says_what_is_wrong(lines, call, error):
    assert lines(call) == [f"false {error}"]


def test_an_error_of_the_function_or_a_missing_module_comes_back(lines):
    found = lines(
        """
        run("fail")
        run("fail_with_table")
        say(ngx.run_worker_thread("pool", "missing", "x"))
        """
    )
    assert found[0].startswith("false ")
    assert found[0].endswith("job.lua:4: wrong here")
    assert found[1].startswith("false table: ")
    assert found[2].startswith("false module 'missing' not found:")


def test_tables_may_be_ninety_nine_deep(lines):
    assert lines(
        """
        for _, depth in ipairs {99, 100} do
            local top = {}
            local t = top
            for _ = 2, depth do t.deeper = {} t = t.deeper end
            run("depth", top)
        end
        """
    ) == [
        "true 99",
        "false suspicious circular references, table depth exceed max depth: 100 in the argument",
    ]


def test_the_worker_goes_on_while_threads_run(server):
    app = server('run("block", ngx.var.uri == "/slow" and 0.5 or 0)')
    with app.connect() as slow:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.ask("/fast").text == "true slept\n"
        assert slow.response("GET").text == "true slept\n"


def test_a_vm_keeps_its_modules_and_is_not_the_workers(lines):
    assert lines('run("global") run("global") say(seen)') == ["true 1 false", "true 2 false", "nil"]


def test_a_vm_gives_its_memory_back(lines):
    big, kilobytes = lines(
        """
        say(#select(2, ngx.run_worker_thread("pool", "job", "big")))
        say((select(2, ngx.run_worker_thread("pool", "job", "size"))))
        """
    )
    assert big == "10000000"
    assert float(kilobytes) < 9_500  # Lua itself keeps a part of the buffer


def test_has_what_needs_no_request(lines):
    assert lines('run("strings") run("api", "say") run("api", "sleep") run("python")') == [
        "true aGVsbG8= 9dd4e461268c8034f5c8564e155c67a6 a%20b 2363233923 a=1 http userdata: NULL",
        "true nil",
        "true nil",
        "true nil",
    ]


def test_logs(server):
    app = server('run("log", "from a thread")')
    app.ask()
    assert "[error]" in app.log.wait_for("from a thread")


def test_there_are_only_so_many_vms(lines):
    found = lines(
        """
        local t = ngx.thread.spawn(run, "block", 0.3)
        run("echo")
        ngx.thread.wait(t)
        run("echo")
        """,
        worker_thread_vm_pool_size=1,
    )
    assert found == ["false no available Lua vm", "true slept", "true 0"]


def test_a_queue_is_only_so_long(lines):
    found = lines(
        """
        local threads = {}
        for i = 1, 3 do threads[i] = ngx.thread.spawn(run, "block", 0.3) end
        for i = 1, 3 do ngx.thread.wait(threads[i]) end
        """,
        pool="threads = 1, max_queue = 1",
    )
    assert sorted(found) == ["false ngx_thread_task_post failed", "true slept", "true slept"]


def test_a_killed_light_thread_gives_its_vm_back(lines):
    found = lines(
        """
        ngx.thread.kill(ngx.thread.spawn(run, "block", 0.1))
        repeat
            local ok = ngx.run_worker_thread("pool", "job", "echo")
            if not ok then ngx.sleep(0.01) end
        until ok
        run("echo")
        """,
        worker_thread_vm_pool_size=1,
    )
    assert found == ["true 0"]
