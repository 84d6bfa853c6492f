"""Owns the cases of subrequests: how they end, and several at once."""

from support.capture_cases import ECHO
from support.locations import Case, Place, say

ENDS = Case(
    [
        Place("/ask", {"content": "show(ngx.unescape_uri(ngx.var.args))"}),
        Place("/head", {"content": "show('/say', { method = ngx.HTTP_HEAD })"}),
        Place("/say", say("say")),
        Place("/exit", {"content": "ngx.exit(tonumber(ngx.var.arg_c))"}),
        Place("/say/exit", {"content": "ngx.print('a') ngx.exit(tonumber(ngx.var.arg_c))"}),
        Place("/status", {"content": "ngx.status = 404 ngx.say('own')"}),
        Place("/status/exit", {"content": "ngx.status = 201 ngx.exit(404)"}),
        Place("/error", {"content": "error('x')"}),
        Place("/error/status", {"content": "ngx.status = 201 error('x')"}),
        Place("/error/late", {"content": "ngx.say('a') error('x')"}),
        Place("/empty", {"content": "return"}),
        Place("/redirect", {"content": "ngx.redirect('/foo')"}),
        Place("/page", {"content": "ngx.exit(404)"}, pages={404: "/say"}),
        Place("/length", {"content": "ngx.header.content_length = 2 ngx.print('hi')"}),
        Place(
            "/type",
            {
                "content": "ngx.header['Content-Type'] = 'a/b' ngx.header.x_y = {'1', '2'} "
                "ngx.header.set_cookie = { 'a=1', 'b=2' } ngx.print('hi')"
            },
        ),
        Place(
            "/filters",
            {
                "header_filter": "ngx.header.X = 'h'",
                "body_filter": "ngx.arg[1] = ngx.arg[1]:upper()",
                "content": "ngx.print('hi') ngx.print('ho')",
            },
        ),
        Place("/eof", {"content": "ngx.print('hi') ngx.eof() ngx.print('more')"}),
        Place(
            "/flush",
            {"content": "ngx.print('a') ngx.say(ngx.flush(true)) ngx.say(ngx.headers_sent)"},
        ),
        Place(
            "/where",
            {"content": "ngx.say(ngx.get_phase(), ngx.is_subrequest, ngx.req.is_internal())"},
        ),
        Place("/access", {"access": "ngx.exit(403)", **say("access")}),
        Place("/rewrite", {"rewrite": "ngx.exit(403)", **say("rewrite")}),
        Place("/rewrite/say", {"rewrite": "ngx.say('from rewrite')", **say("rewrite")}),
        Place("/exec", {"content": "ngx.ctx.a = 1 ngx.exec('/say?x=1')"}),
        Place("/exec/named", {"content": "ngx.exec('@named')"}),
        Place("@named", say("named"), "named"),
        Place("/exec/none", {"content": "ngx.exec('/none')"}),
        Place("/cycle", {"content": "ngx.exec('/cycle')"}),
        Place("/internal", say("internal"), internal=True),
        Place("/sleep", {"content": "ngx.sleep(0.01) ngx.say('slept')"}),
        Place("/again", {"content": "ngx.print('(', ngx.location.capture('/say').body, ')')"}),
        Place("/large", {"content": "ngx.print(('x'):rep(100000)) ngx.print(('y'):rep(10))"}),
        Place(
            "/thread", {"content": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.say('t') end)"}
        ),
        Place("/proxied", proxy="/type"),
        Place("/proxied/length", proxy="/length"),
        Place("/proxied/404", proxy="/status"),
        Place("/proxied/large", proxy="/large"),
        Place("/proxied/empty", proxy="/empty"),
        Place("/proxied/head", {"content": "show('/proxied', { method = ngx.HTTP_HEAD })"}),
        Place("/body/file", proxy="/say"),
    ],
    [
        *[
            f"/ask?{path}"
            for path in (
                *("/say", "/none", "/exit?c=404", "/exit?c=204", "/exit?c=201", "/exit?c=200"),
                *("/exit?c=304", "/exit?c=-1", "/exit?c=0", "/exit?c=500", "/say/exit?c=200"),
                *("/say/exit?c=500", "/say/exit?c=-1", "/status", "/status/exit", "/error"),
                *(
                    "/error/status",
                    "/error/late",
                    "/empty",
                    "/redirect",
                    "/page",
                    "/length",
                    "/type",
                ),
                *("/filters", "/eof", "/flush", "/where", "/access", "/rewrite", "/rewrite/say"),
                *("/exec", "/exec/named", "/exec/none", "/cycle", "/internal", "/sleep"),
                *("/again", "/large", "/thread", "/proxied", "/proxied/length", "/proxied/404"),
                *("/proxied/large", "/proxied/empty", "@named", "@none", "none", "//say"),
            )
        ],
        *["/head", "/proxied/head"],
    ],
)

MANY = """
local list = {}
for i = 1, 60 do
    list[i] = { "/echo", { args = { i = i } } }
end
for i, res in ipairs({ ngx.location.capture_multi(list) }) do
    ngx.print(i, res.body)
end
"""
THREADS = """
local t = ngx.thread.spawn(function()
    return ngx.location.capture("/late")
end)
local b = ngx.location.capture("/early")
local ok, a = ngx.thread.wait(t)
show_result("a", a)
show_result("b", b)
"""
BESIDE = "ngx.thread.spawn(function() ngx.location.capture('/late') end) "

MULTI = Case(
    [
        Place("/echo", ECHO),
        Place("/late", {"content": "ngx.sleep(0.02) ngx.ctx.x = 1 ngx.print('late')"}),
        Place("/early", {"content": "ngx.print('early')"}),
        Place(
            "/two",
            {
                "content": "local a, b, c = ngx.location.capture_multi{{'/late'}, {'/early'}} "
                "show_result('a', a) show_result('b', b) ngx.say(tostring(c))"
            },
        ),
        Place(
            "/many",
            {"content": MANY},
        ),
        Place(
            "/options",
            {
                "content": "local a, b = ngx.location.capture_multi{{'/echo', { method = "
                "ngx.HTTP_POST, body = 'x', vars = { dog = 'a' } }}, {'/echo', { args = 'b' }}} "
                "show_result('a', a) show_result('b', b)"
            },
        ),
        Place(
            "/failing",
            {
                "content": "local a, b = ngx.location.capture_multi{{'/none'}, {'/early'}} "
                "show_result('a', a) show_result('b', b)"
            },
        ),
        Place(
            "/nested",
            {
                "content": "local a, b = ngx.location.capture_multi{{'/two'}, {'/two'}} "
                "ngx.print(a.body, b.body)"
            },
        ),
        Place(
            "/threads",
            {"content": THREADS},
        ),
        Place(
            "/kill",
            {"content": f"local t = {BESIDE} ngx.say(ngx.thread.kill(t))"},
        ),
        Place(
            "/abort",
            {
                "content": BESIDE
                + "ngx.say(pcall(ngx.exit, 200)) ngx.say(pcall(ngx.exec, '/early'))"
            },
        ),
        Place(
            "/abort/redirect",
            {"content": BESIDE + "ngx.say(pcall(ngx.redirect, '/early'))"},
        ),
        Place(
            "/rewrite",
            {
                "rewrite": "ngx.ctx.r = ngx.location.capture('/early').body",
                "access": "ngx.ctx.a = ngx.location.capture('/late').body",
                "content": "ngx.say(ngx.ctx.r, ngx.ctx.a)",
            },
        ),
        Place("/after/say", {"content": "ngx.say('first') show('/early') ngx.say('last')"}),
        Place("/status/kept", {"content": "ngx.status = 201 show('/early') ngx.say(ngx.status)"}),
    ],
    [
        "/two",
        "/many",
        "/options",
        "/failing",
        "/nested",
        "/threads",
        "/kill",
        "/abort",
        "/abort/redirect",
        "/rewrite",
        "/after/say",
        "/status/kept",
    ],
)
