"""Owns the cases of error pages."""

from support.locations import Case, Place, say

PAGE = {
    "content": 'ngx.say("page ", ngx.status, " ", ngx.var.status, " ", ngx.var.uri, " ", '
    'ngx.var.request_uri, " ", ngx.req.get_method(), " ", ngx.ctx.x or "-", " ", '
    'ngx.var.args or "-")'
}
STOP = {
    "content": 'ngx.header.foo = "x" ngx.header.content_type = "z/z" ngx.ctx.x = 1 '
    "ngx.exit(tonumber(ngx.var.arg_c))"
}

PAGES = Case(
    [
        Place("/page", PAGE),
        Place(
            "/stop",
            STOP,
            pages={404: "/page", 403: (200, "/page"), 402: (0, "/page?a=b"), 500: "/page"},
        ),
        Place("/error", {"content": "error('on purpose')"}, pages={500: "/page"}),
        Place("/named", STOP, pages={404: "@page", 403: "@missing"}),
        Place("@page", PAGE, "named"),
        Place(
            "/redirect", STOP, pages={404: "http://elsewhere/x", 403: (301, "http://elsewhere/y")}
        ),
        Place("/variable", STOP, pages={404: "/page?s=$status&m=$request_method"}),
        Place("/access", {"access": "ngx.exit(403)", **say("never")}, pages={403: "/page"}),
        Place("/private", say("private"), internal=True),
        Place("/to/private", STOP, pages={404: "/private"}),
        Place("/to/none", STOP, pages={404: "/none", 403: "/stop?c=404"}),
        Place("/moved", {"content": "ngx.redirect('/x')"}, pages={302: "/page"}),
        Place("/late", {"content": "ngx.say('x') ngx.exit(404)"}, pages={404: "/page"}),
        Place("/status", {"content": "ngx.status = 404 ngx.say('own')"}, pages={404: "/page"}),
        Place("/set", {"content": "ngx.status = 201 ngx.say('set')"}),
        Place("/to/set", STOP, pages={404: "/set"}),
        Place("/leave", {"content": "ngx.exit(200)"}),
        Place("/to/leave", STOP, pages={404: "/leave"}),
        Place("/again", {"content": "ngx.exit(403)"}, pages={403: "/page"}),
        Place("/to/again", STOP, pages={404: "/again"}),
        Place("/recursive", STOP, pages={404: "/again"}, settings={"recursive_error_pages": True}),
        Place(
            "/again2",
            {"content": "ngx.exit(403)"},
            pages={403: "/page"},
            settings={"recursive_error_pages": True},
        ),
        Place(
            "/recursive2", STOP, pages={404: "/again2"}, settings={"recursive_error_pages": True}
        ),
        Place("/exec", {"content": "ngx.exec('/page')"}),
        Place("/to/exec", STOP, pages={404: "/exec"}),
        Place("/capturing", {"content": "ngx.say(ngx.location.capture('/page').status)"}),
        Place("/to/capturing", STOP, pages={404: "/capturing"}),
        Place("/filter", STOP | {"header_filter": "ngx.header.x = 'f'"}, pages={404: "/page"}),
        Place(
            "/nested",
            pages={404: "/page"},
            nested=[
                Place("/nested/in", STOP),
                Place("/nested/own", STOP, pages={403: "/page"}),
            ],
        ),
        Place("/proxied", proxy="/none"),
        Place("/upstream", proxy="/set"),
        Place("/to/upstream", STOP, pages={404: "/upstream"}),
    ],
    [
        *["/stop?c=404", "/stop?c=403", "/stop?c=402", "/stop?c=500", "/stop?c=401", "/error"],
        *["/named?c=404", "/named?c=403", "/redirect?c=404", "/redirect?c=403", "/variable?c=404"],
        *["/access", "/to/private?c=404", "/to/none?c=404", "/to/none?c=403", "/moved", "/late"],
        *["/status", "/to/set?c=404", "/to/leave?c=404", "/to/again?c=404", "/recursive?c=404"],
        *["/recursive2?c=404", "/to/exec?c=404", "/to/capturing?c=404", "/filter?c=404"],
        *["/nested/in?c=404", "/nested/own?c=404", "/nested/own?c=403", "/to/upstream?c=404"],
        *[("HEAD", "/stop?c=404", ""), ("POST", "/stop?c=404", "x"), ("POST", "/named?c=404", "x")],
    ],
)

OF_SERVER = Case(
    [Place("/page", PAGE), Place("/stop", STOP), Place("/own", STOP, pages={403: "/page"})],
    ["/stop?c=404", "/none", "/own?c=404", "/own?c=403", "/stop?c=403"],
    pages={404: "/page"},
)
