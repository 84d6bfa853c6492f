"""Phases of small applications, by name: handlers' bodies that run here and in nginx alike."""

SAY = 'ngx.say("body")'

# Writes values as a line of the response.
SHOW = """
local function show(...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = tostring((select(i, ...)))
    end
    ngx.say(table.concat(parts, "|"))
end
"""

CASES: dict[str, dict[str, str]] = {
    # making a response
    "say": {"content": 'ngx.say("a", 1, true, nil, {"b", {2, false}}, ngx.null)'},
    "print": {"content": 'ngx.print("a", "b") ngx.print() ngx.print("")'},
    "nothing": {"content": "local x = 1"},
    "status": {"content": f"ngx.status = 418 {SAY}"},
    "status-299": {"content": f"ngx.status = 299 {SAY}"},
    "created": {"content": f"ngx.status = ngx.HTTP_CREATED {SAY}"},
    "no-content": {"content": "ngx.status = 204"},
    "flush": {"content": SHOW + 'show(ngx.flush()) show(ngx.flush(true)) ngx.print("x")'},
    "eof": {
        "content": SHOW
        + 'ngx.say("x") local a, b = ngx.eof() ngx.say("y") ngx.ctx.r = {a, b, ngx.eof()}',
        "log": "local r = ngx.ctx.r ngx.log(ngx.WARN, r[1], r[2], r[3], r[4])",
    },
    "send-headers": {"content": 'ngx.send_headers() ngx.header.late = "x" ngx.say("x")'},
    "status-after-headers": {"content": 'ngx.say("x") ngx.status = 404'},
    "headers-sent": {
        "content": SHOW + "show(ngx.headers_sent) show(ngx.headers_sent)",
    },
    "length": {"content": 'ngx.header["Content-Length"] = 4 ngx.print("four")'},
    "type": {"content": f'ngx.header.content_type = "text/x" {SAY}'},
    "no-type": {"content": f"ngx.header.content_type = nil {SAY}"},
    "header-read": {
        "content": SHOW
        + 'ngx.header.a = 1 ngx.header["B-C"] = {"x", "y"} ngx.header.gone = "z" '
        + "ngx.header.gone = nil ngx.header.none = nil "
        + 'show(ngx.header.a, ngx.header["b-c"][2], ngx.header.b_c[1], ngx.header.gone)',
    },
    "header-names": {
        "content": 'ngx.header["X Y"] = 1 ngx.header["X\\r\\nZ"] = 2 ngx.header.x_under = 3 '
        + 'ngx.header["X-Break"] = "a\\r\\nSet-Cookie: b" ngx.say("x")',
    },
    "cookies": {"content": 'ngx.header["Set-Cookie"] = {"a=1", "b=2"} ngx.say("x")'},
    "resp-headers": {
        "content": SHOW
        + 'ngx.header.x = "1" ngx.header.y = {"2", "3"} local h = ngx.resp.get_headers() '
        + 'show(h.x, h["Y"][2], h.connection, h["content-type"])',
    },
    # ngx.exit
    "exit-0": {"content": "ngx.exit(0)"},
    "exit-200": {"content": "ngx.exit(200)"},
    "exit-200-kept-status": {"content": "ngx.status = 201 ngx.exit(200)"},
    "exit-201": {"content": "ngx.exit(201)"},
    "exit-204": {"content": "ngx.exit(204)"},
    "exit-301": {"content": 'ngx.header.location = "/x" ngx.exit(301)'},
    "exit-403": {"content": 'ngx.header.x = "kept" ngx.exit(403)'},
    "exit-404": {"content": "ngx.exit(ngx.HTTP_NOT_FOUND)"},
    "exit-408": {"content": "ngx.exit(408)"},
    "exit-413": {"content": "ngx.exit(413)"},
    "exit-444": {"content": "ngx.exit(444)"},
    "exit-499": {"content": "ngx.exit(499)"},
    "exit-500": {"content": "ngx.exit(500)"},
    "exit-503": {"content": "ngx.exit(503)"},
    "exit-418": {"content": "ngx.exit(418)"},
    "exit-599": {"content": "ngx.exit(599)"},
    "exit-error": {"content": "ngx.exit(ngx.ERROR)"},
    "exit-after-say": {"content": f"{SAY} ngx.exit(403) ngx.say(2)"},
    "exit-error-after-flush": {"content": f"{SAY} ngx.flush(true) ngx.exit(ngx.ERROR)"},
    "exit-with-body": {"content": f"ngx.status = 403 {SAY} ngx.exit(403)"},
    "exit-in-rewrite": {"rewrite": "ngx.exit(403)", "content": SAY},
    "exit-in-rewrite-goes-on": {"rewrite": "ngx.exit(ngx.OK) ngx.exit(500)", "content": SAY},
    "exit-in-rewrite-declined": {"rewrite": "ngx.exit(ngx.DECLINED)", "content": SAY},
    "exit-in-rewrite-200": {"rewrite": "ngx.exit(200)", "content": SAY},
    "exit-in-access": {"access": "ngx.exit(401)", "content": SAY},
    "exit-in-access-goes-on": {"access": "ngx.exit(ngx.OK)", "content": SAY},
    "exit-in-access-200": {"access": "ngx.exit(200)", "content": SAY},
    "exit-in-access-status": {"access": "ngx.status = 403 ngx.exit(ngx.OK)", "content": SAY},
    "say-in-access": {"access": 'ngx.say("no")', "content": SAY},
    "say-in-rewrite": {"rewrite": "ngx.status = 403 ngx.say('no') ngx.exit(403)", "content": SAY},
    "exit-in-pcall": {"content": f"pcall(function() ngx.exit(403) end) {SAY}"},
    "exit-in-xpcall": {
        "content": f"xpcall(function() ngx.exit(403) end, function() end) {SAY}",
    },
    "exit-in-coroutine": {
        "content": f"coroutine.resume(coroutine.create(function() ngx.exit(403) end)) {SAY}",
    },
    "exit-in-wrap": {"content": f"coroutine.wrap(function() ngx.exit(403) end)() {SAY}"},
    "exit-in-thread": {"content": f"ngx.thread.spawn(function() ngx.exit(403) end) {SAY}"},
    "exit-in-thread-later": {
        "content": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(403) end) "
        + f"ngx.sleep(5) {SAY}",
    },
    "exit-in-thread-in-access": {
        "access": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(401) end)",
        "content": SAY,
    },
    "exit-in-header-filter": {
        "content": 'ngx.header.content_length = 5 ngx.print("body!")',
        "header_filter": "ngx.header.x = 1 ngx.status = 201",
    },
    # ngx.redirect
    "redirect": {"content": 'ngx.redirect("/x y?a=b#c")'},
    "redirect-301": {"rewrite": 'ngx.redirect("http://h/", 301)', "content": SAY},
    "redirect-308": {"access": 'ngx.redirect("/x", 308)', "content": SAY},
    "redirect-bad-status": {"content": SHOW + 'show(pcall(ngx.redirect, "/x", 200))'},
    "redirect-unsafe": {"content": SHOW + 'show(pcall(ngx.redirect, "/x\\r\\nA: b"))'},
    "redirect-late": {"content": SHOW + "show(1) show(pcall(ngx.redirect, '/x'))"},
    # errors
    "error": {"content": 'ngx.header.x = "kept" error("oops")'},
    "error-of-table": {"content": "error({ code = 1 })"},
    "error-of-nil": {"content": "error()"},
    "error-in-rewrite": {"rewrite": 'error("oops")', "content": SAY},
    "error-in-access": {"access": 'error("oops")', "content": SAY},
    "error-after-flush": {"content": f'{SAY} ngx.flush(true) error("oops")'},
    "error-in-log": {"content": SAY, "log": 'error("oops")'},
    "error-in-thread": {
        "content": SHOW
        + 'local t = ngx.thread.spawn(function() error("oops", 0) end) show(ngx.thread.wait(t))',
    },
    "error-in-thread-later": {
        "content": SHOW
        + "local t = ngx.thread.spawn(function() ngx.sleep(0) error({}) end) "
        + "local a, b = ngx.thread.wait(t) show(a, type(b))",
    },
    "error-in-thread-alone": {"content": f'ngx.thread.spawn(function() error("x") end) {SAY}'},
    "error-in-filter-of-page": {"content": "ngx.exit(404)", "body_filter": "local x = 1"},
    # filters
    "header-filter": {
        "content": f"ngx.header.a = 1 {SAY}",
        "header_filter": 'ngx.header.a = nil ngx.header["B"] = ngx.status ngx.status = 202',
    },
    "header-filter-of-page": {"content": "ngx.exit(404)", "header_filter": "ngx.header.x = 1"},
    "header-filter-of-error": {"content": "error('x')", "header_filter": "ngx.header.x = 1"},
    "body-filter": {
        "content": 'ngx.print("a") ngx.print("b") ngx.print("c")',
        "body_filter": 'ngx.arg[1] = ngx.arg[1]:upper() .. (ngx.arg[2] and "." or "-")',
    },
    "body-filter-drops": {"content": SAY, "body_filter": "ngx.arg[1] = nil"},
    "body-filter-empties": {"content": SAY, "body_filter": 'ngx.arg[1] = ""'},
    "body-filter-of-tables": {
        "content": SAY,
        "body_filter": 'ngx.arg[1] = { "<", { ngx.arg[1], { ">" } } }',
    },
    "body-filter-grows": {
        "content": 'ngx.header.content_length = 1 ngx.print("x")',
        "header_filter": "ngx.header.content_length = nil",
        "body_filter": "ngx.arg[1] = ngx.arg[1]:rep(100)",
    },
    # context
    "ctx": {
        "rewrite": "ngx.ctx.a = 1",
        "access": "ngx.ctx.a = ngx.ctx.a + 1",
        "content": "ngx.say(ngx.ctx.a) ngx.ctx.a = 3",
        "header_filter": "ngx.header.a = ngx.ctx.a",
        "body_filter": 'ngx.arg[1] = ngx.arg[1]:gsub("%d", ngx.ctx.a + 1)',
    },
    "ctx-replaced": {"rewrite": "ngx.ctx = { b = 2 }", "content": "ngx.say(ngx.ctx.b, ngx.ctx.a)"},
    "phases": {
        "rewrite": "ngx.ctx.p = { ngx.get_phase() }",
        "access": "table.insert(ngx.ctx.p, ngx.get_phase())",
        "content": "table.insert(ngx.ctx.p, ngx.get_phase()) ngx.print(ngx.ctx.p)",
        "header_filter": "ngx.header.p = ngx.get_phase()",
        "body_filter": 'ngx.arg[1] = ngx.arg[1] .. ngx.get_phase() .. ";"',
    },
    # what no phase may do
    "say-in-filter": {"content": SAY, "header_filter": SHOW + "ngx.header.e = pcall(ngx.say, 1)"},
    "exit-in-log": {"content": SAY, "log": "ngx.exit(500)"},
    "arg-elsewhere": {"content": "ngx.say((pcall(function() return ngx.arg[1] end)))"},
    # light threads
    "threads": {
        "content": 'ngx.thread.spawn(function() ngx.sleep(0.02) ngx.say("t") end) ngx.say("m")',
    },
    "thread-results": {
        "content": SHOW
        + "local t = ngx.thread.spawn(function(...) ngx.sleep(0) return nil, ... end, 1, nil) "
        + "show(ngx.thread.wait(t)) show(ngx.thread.wait(t)) show(ngx.thread.kill(t))",
    },
    "thread-order": {
        "content": 'local t = ngx.thread.spawn(function() ngx.say("1") ngx.sleep(0) ngx.say("3") '
        + 'end) ngx.say("2") ngx.thread.wait(t) ngx.say("4")',
    },
    "thread-first": {
        "content": SHOW
        + 'local a = ngx.thread.spawn(function() ngx.sleep(0.05) return "a" end) '
        + 'local b = ngx.thread.spawn(function() ngx.sleep(0.01) return "b" end) '
        + "show(ngx.thread.wait(a, b)) show(ngx.thread.wait(a, b)) show(ngx.thread.wait(a))",
    },
    "thread-kill": {
        "content": SHOW
        + "local t = ngx.thread.spawn(function() ngx.sleep(5) end) show(ngx.thread.kill(t)) "
        + "show(ngx.thread.kill(t)) show(ngx.thread.wait(t)) show(coroutine.status(t))",
    },
    "thread-dead": {
        "content": SHOW
        + "local t = ngx.thread.spawn(function() return 1 end) show(coroutine.status(t)) "
        + "show(ngx.thread.kill(t))",
    },
    "thread-of-thread": {
        "content": SHOW
        + "local inner = ngx.thread.spawn(function() ngx.sleep(0.01) end) "
        + "local t = ngx.thread.spawn(function() return pcall(ngx.thread.wait, inner) end) "
        + "show(ngx.thread.wait(t))",
    },
    "thread-waits-at-end": {
        "content": "ngx.thread.spawn(function() local t = ngx.thread.spawn(function() "
        + 'ngx.sleep(0.02) ngx.say("inner") end) ngx.thread.wait(t) ngx.say("outer") end)',
    },
    "spawn-arguments": {"content": SHOW + "show(pcall(ngx.thread.wait))"},
    "coroutines": {
        "content": SHOW
        + "local co = coroutine.create(function(a) ngx.sleep(0.01) local b = coroutine.yield(a + 1)"
        + " ngx.sleep(0) return b * 2 end) show(coroutine.resume(co, 1)) show(coroutine.status(co))"
        + " show(coroutine.resume(co, 5)) show(coroutine.status(co)) show(coroutine.resume(co))",
    },
    "coroutine-wrap": {
        "content": SHOW
        + "local f = coroutine.wrap(function() for i = 1, 3 do ngx.sleep(0) coroutine.yield(i) end "
        + "end) show(f(), f(), f())",
    },
    "yield-in-main": {"content": 'coroutine.yield() ngx.say("after")'},
    "semaphore": {
        "content": SHOW
        + 'local s = require("ngx.semaphore").new(0) local t = ngx.thread.spawn(function() '
        + 'show("w", s:wait(1)) end) show(s:count()) show(s:post(1)) show(s:count()) '
        + "ngx.thread.wait(t) show(s:count()) show(s:wait(0)) show(s:post(2)) show(s:count()) "
        + "show(s:wait(0)) show(s:count())",
    },
    # time
    "sleep": {
        "content": "ngx.update_time() local t = ngx.now() ngx.sleep(0.05) "
        + "ngx.say(ngx.now() - t >= 0.04)",
    },
    "sleep-in-access": {"access": "ngx.sleep(0.01)", "content": SAY},
    "sleep-arguments": {"content": SHOW + "show(pcall(ngx.sleep, -1))"},
    "timer": {
        "content": "local done = require('ngx.semaphore').new() local got "
        + "ngx.timer.at(0, function(...) got = { select('#', ...), ... } done:post() end, 'a', nil)"
        + " done:wait(1) ngx.say(got[1], got[2], got[3], got[4])",
    },
    "timer-errors": {
        "content": SHOW + "show(pcall(ngx.timer.every, 0, print))",
    },
    "timer-has-no-request": {
        "content": SHOW
        + "local done = require('ngx.semaphore').new() local got "
        + "local function try(f) return select(2, pcall(f)):gsub('^%S+:%d+: ', '') end "
        + "ngx.timer.at(0, function() got = { try(function() return ngx.var.uri end), "
        + "try(function() ngx.say(1) end), try(function() return ngx.header.x end), "
        + "try(function() return ngx.status end), ngx.get_phase(), tostring(ngx.ctx.x) } "
        + "done:post() end) done:wait(1) ngx.say(table.concat(got, '\\n'))",
    },
}
