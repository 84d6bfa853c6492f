"""Owns the cases of the search for locations, internal redirects and error pages."""

from support.locations import Case, Place, say

ORDER = Case(
    [
        Place("/", say("root")),
        Place("/exact", say("exact"), "exact"),
        Place("/exact/more", say("more")),
        Place("/images/", say("prefer"), "prefer"),
        Place("/docs", say("docs")),
        Place("\\.(gif|jpg)$", say("picture"), "regex"),
        Place("\\.GIF$", say("case"), "regex_i"),
        Place("^/docs/(\\d+)", {"content": "ngx.say(ngx.var[1], ngx.var[2])"}, "regex"),
        Place("^/named/(?<word>[a-z]+)", {"content": "ngx.say(ngx.var.word)"}, "regex"),
        Place("/private", say("private"), internal=True),
    ],
    [
        *["/", "/exact", "/exact?a=b", "/exact/", "/exact/more/x", "/exact/mor"],
        *["/images/a.gif", "/images", "/a.gif", "/A.GIF", "/docs/a.jpg", "/docs/12/a", "/docs/a"],
        *["/docsx", "/named/abc", "/named/1", "/private", "/private/x", "/%65xact", "//exact"],
        *["/a/../exact", "/./docs//12", "/exact%00", "/none?x", "/docs/12.gif"],
    ],
)

NESTED = Case(
    [
        Place(
            "/a",
            say("a"),
            nested=[
                Place("/a/exact", say("a-exact"), "exact"),
                Place("/a/deep", say("deep"), nested=[Place("\\.x$", say("deep-x"), "regex")]),
                Place("/a/first", say("first"), "prefer"),
                Place("\\.y$", say("a-y"), "regex"),
            ],
        ),
        Place("/p", say("p"), "prefer", nested=[Place("/p/q", say("q"))]),
        Place("\\.y$", say("y"), "regex", nested=[Place("^/a/", say("y-in-a"), "regex")]),
        Place("\\.x$", say("x"), "regex"),
    ],
    [
        *["/a", "/a/exact", "/a/deep/1", "/a/deep/1.x", "/a/1.y", "/a/1.x", "/a/first/1.y"],
        *["/p/q/1.y", "/p/1.x", "/b.y", "/b.x", "/b", "/a/deep/1.y", "/a/exact/1"],
    ],
)

PHASES = Case(
    [
        Place("/", {"rewrite": "ngx.header.x = 'r'", "access": "ngx.header.y = 'a'", **say("all")}),
        Place("/in/rewrite", {"rewrite": "ngx.say('done in rewrite')", **say("never")}),
        Place("/in/access", {"access": "ngx.say('done in access')", **say("never")}),
        Place("/ok", {"rewrite": "ngx.exit(0)", "access": "ngx.exit(ngx.OK)", **say("ok")}),
        Place("/denied", {"access": "ngx.exit(403)", **say("never")}),
        Place("/empty"),
        Place("/uri", {"rewrite": "ngx.req.set_uri('/other')", **say("uri")}),
    ],
    ["/", "/in/rewrite", "/in/access", "/ok", "/denied", "/uri?a=1"],
)

SHOW = (
    'ngx.say(ngx.var.uri, " ", ngx.var.document_uri, " ", ngx.var.request_uri, " ", '
    'ngx.var.args or "-", " ", ngx.var.query_string or "-", " ", ngx.ctx.x or "-", " ", '
    'ngx.req.get_method(), " ", tostring(ngx.req.is_internal()), " ", ngx.get_phase())'
)

EXEC = Case(
    [
        Place("/show", {"content": SHOW}),
        Place("/plain", {"content": "ngx.ctx.x = 1 ngx.exec('/show')"}),
        Place("/args", {"content": "ngx.exec('/show?a=1', 'b=2')"}),
        Place("/args/only", {"content": "ngx.exec('/show', 'b=2&c')"}),
        Place("/args/none", {"content": "ngx.exec('/show', nil)"}),
        Place("/args/empty", {"content": "ngx.exec('/show?', '')"}),
        Place("/args/number", {"content": "ngx.exec('/show', 32)"}),
        Place("/args/table", {"content": "ngx.exec('/show', { a = 'x y', b = true })"}),
        Place("/escaped", {"content": "ngx.exec('/sh%6fw?a=%20')"}),
        Place("/rewrite", {"rewrite": "ngx.exec('/show')", **say("never")}),
        Place("/access", {"access": "ngx.exec('/show')", **say("never")}),
        Place("/thread", {"content": "ngx.thread.spawn(function() ngx.exec('/show') end)"}),
        Place("/internal", {"content": "ngx.exec('/private')"}),
        Place("/private", say("private"), internal=True),
        Place("/named", {"content": "ngx.exec('@here')"}),
        Place("/named/args", {"content": "ngx.exec('@here', 'a=2')"}),
        Place("@here", {"content": SHOW}, "named"),
        Place("@two", {"access": "ngx.exec('@here')", **say("never")}, "named"),
        Place("/twice", {"content": "ngx.exec('@two')"}),
        Place("/nowhere", {"content": "ngx.exec('/none')"}),
        Place("/unknown", {"content": "ngx.exec('@none')"}),
        Place("/unsafe", {"content": "ngx.say(pcall(ngx.exec, '/a/../b'))"}),
        Place("/late", {"content": "ngx.say('x') ngx.say(pcall(ngx.exec, '/show'))"}),
        Place("/nothing", {"content": "ngx.say(pcall(ngx.exec, ''))"}),
        Place("/bad", {"content": "ngx.say(pcall(ngx.exec)) ngx.say(pcall(ngx.exec, 1, 2, 3))"}),
        Place("/cycle", {"content": "ngx.exec('/cycle')"}),
        Place(
            "/count",
            {
                "content": "local n = tonumber(ngx.var.arg_n) if n > 0 then "
                "ngx.exec('/count', { n = n - 1 }) end ngx.say('end')"
            },
        ),
    ],
    [
        *["/plain", "/plain?q=1", "/args?x", "/args/only", "/args/none", "/args/empty"],
        *["/args/number", "/escaped", "/rewrite", "/access", "/thread", "/internal", "/named?a=1"],
        *["/named/args?a=1", "/twice", "/nowhere", "/unknown", "/unsafe", "/late", "/nothing"],
        *["/bad", "/cycle", "/count?n=10", "/count?n=11", ("POST", "/plain", "body")],
    ],
)

JUMP = Case(
    [
        Place("/show", {"content": SHOW}),
        Place("/jump", {"rewrite": "ngx.req.set_uri('/show', true)", **say("never")}),
        Place(
            "/jump/args", {"rewrite": "ngx.req.set_uri_args('b=1') ngx.req.set_uri('/show', true)"}
        ),
        Place("/ctx", {"rewrite": "ngx.ctx.x = 'kept' ngx.req.set_uri('/show', true)"}),
        Place("/cycle", {"rewrite": "ngx.req.set_uri('/cycle', true)"}),
        Place(
            "/count",
            {
                "rewrite": "local n = tonumber(ngx.var.arg_n) if n > 0 then "
                "ngx.req.set_uri_args('n=' .. n - 1) ngx.req.set_uri('/count', true) end",
                **say("end"),
            },
        ),
        Place("/access", {"access": "ngx.say(pcall(ngx.req.set_uri, '/show', true))"}),
        Place("/internal", {"rewrite": "ngx.req.set_uri('/private', true)"}),
        Place("/private", say("private"), internal=True),
        Place("/nowhere", {"rewrite": "ngx.req.set_uri('/none', true)"}),
    ],
    [
        *["/jump", "/jump?a=1", "/jump/args?a=1", "/ctx", "/cycle", "/count?n=10", "/count?n=11"],
        *["/access", "/internal", "/nowhere"],
    ],
)
