"""Owns the cases of subrequests: what they are told, what they share, what is refused."""

from support.locations import Case, Place, say

# `show(uri, options)` says all that came of a capture; its field names in lower case and in order.
INIT = """
function show_result(name, res)
    local fields = {}
    for key, value in pairs(res.header) do
        if type(value) == "table" then
            value = table.concat(value, "+")
        end
        fields[#fields + 1] = key:lower() .. "=" .. type(value) .. ":" .. value
    end
    table.sort(fields)
    ngx.say(name, " ", res.status, " ", tostring(res.truncated), " [", res.body, "] ",
        table.concat(fields, ";"))
end
function show(uri, options)
    return show_result(uri, ngx.location.capture(uri, options))
end
function echo()
    ngx.req.read_body()
    ngx.say(ngx.req.get_method(), " ", ngx.var.uri, " ", ngx.var.args or "-", " ",
        ngx.var.request_uri, " body=", ngx.req.get_body_data() or "-", " length=",
        ngx.var.http_content_length or "-", " x=", ngx.var.http_x or "-", " dog=", ngx.var.dog,
        " cat=", ngx.var.cat, " ctx=",
        tostring(ngx.ctx.x), " ", tostring(ngx.is_subrequest))
    ngx.var.dog = "from the subrequest"
    ngx.ctx.x = "from the subrequest"
end
function try(...)
    local ok, err = pcall(function(...)
        local res = ngx.location.capture(...)
        return res
    end, ...)
    ngx.say(tostring(ok), " ", tostring(err))
end
function try_multi(...)
    local ok, err = pcall(function(...)
        local res = ngx.location.capture_multi(...)
        return res
    end, ...)
    ngx.say(tostring(ok), " ", tostring(err))
end
"""
VARIABLES = ["dog", "cat"]

ECHO = {"content": "echo()"}
ME = "ngx.req.read_body() ngx.var.dog = 'parent' ngx.ctx.x = 'parent' "
AFTER = " ngx.say(ngx.var.dog, ' ', ngx.ctx.x, ' ', ngx.var.uri)"


def told(path: str, options: str, target: str = "/echo") -> Place:
    """A location that captures `target` with options, then says what it has itself."""
    return Place(path, {"content": f"{ME} show('{target}', {options}) {AFTER}"}, "exact")


OPTIONS = Case(
    [
        Place("/echo", ECHO),
        Place("/none", {"content": f"{ME} show('/echo') {AFTER}"}),
        told("/uri", "nil", "/echo/a%20b?c=%20d"),
        told("/args", "{ args = { c = { ':', true } } }", "/echo?a=1"),
        told("/args/text", "{ args = 'b=3&c=%3a' }", "/echo?a=1"),
        told("/args/only", "{ args = 'b=3' }"),
        told("/args/empty", "{ args = {} }"),
        told("/args/number", "{ args = 32 }"),
        told("/post", "{ method = ngx.HTTP_POST }"),
        told("/put", "{ method = ngx.HTTP_PUT }"),
        told("/delete", "{ method = ngx.HTTP_DELETE }"),
        told("/patch", "{ method = ngx.HTTP_PATCH, body = 'p' }"),
        told("/head", "{ method = ngx.HTTP_HEAD }"),
        told("/always", "{ always_forward_body = true }"),
        told("/always/post", "{ always_forward_body = true, method = ngx.HTTP_POST }"),
        told("/body", "{ body = 'given' }"),
        told("/body/post", "{ body = 'given', method = ngx.HTTP_POST }"),
        told("/body/empty", "{ body = '', method = ngx.HTTP_POST }"),
        told("/body/number", "{ body = 32, method = ngx.HTTP_POST }"),
        told("/ctx", "{ ctx = { x = 'given' } }"),
        told("/ctx/shared", "{ ctx = ngx.ctx }"),
        told("/vars", "{ vars = { dog = 'given', cat = 32 } }"),
        told("/vars/args", "{ vars = { args = 'q=1' } }"),
        told("/copy", "{ copy_all_vars = true }"),
        told("/copy/vars", "{ copy_all_vars = true, vars = { dog = 'given' } }"),
        told("/share", "{ share_all_vars = true }"),
        told("/share/copy", "{ share_all_vars = true, copy_all_vars = true }"),
        Place(
            "/header",
            {"content": "ngx.req.set_header('X', 'set') show('/set') show('/echo')"},
        ),
        Place("/set", {"content": "ngx.req.set_header('X', 'inner') ngx.say(ngx.var.http_x)"}),
        Place("/unread", {"content": "show('/echo', { method = ngx.HTTP_POST })"}),
    ],
    [
        "/none",
        *["/uri", "/args", "/args/text", "/args/only", "/args/empty", "/args/number", "/delete"],
        *["/patch", "/head", "/body", "/body/post", "/body/empty", "/body/number", "/ctx"],
        *["/ctx/shared", "/vars", "/vars/args", "/copy", "/copy/vars", "/share", "/share/copy"],
        *["/header", "/post", "/put", "/always", "/unread"],
        *[
            ("POST", path, "body of the client")
            for path in (
                *(
                    "/none",
                    "/post",
                    "/put",
                    "/delete",
                    "/patch",
                    "/always",
                    "/always/post",
                    "/body",
                ),
                *("/body/post", "/head", "/body/empty"),
            )
        ],
    ],
)

MISTAKES = Case(
    [
        Place("/echo", ECHO),
        Place(
            "/uris",
            {
                "content": "try() try('/a', {}, 1) try('') try('/a/../b') try('..') "
                "try(nil) try({}) try(true) try('?a')"
            },
        ),
        Place(
            "/options",
            {
                "content": "try('/echo', 1) try('/echo', { args = true }) "
                "try('/echo', { vars = 1 }) try('/echo', { vars = { [1] = 'x' } }) "
                "try('/echo', { vars = { dog = {} } }) try('/echo', { share_all_vars = 1 }) "
                "try('/echo', { copy_all_vars = 'x' }) try('/echo', { method = 'GET' }) "
                "try('/echo', { ctx = 1 }) try('/echo', { body = {} }) "
                "try('/echo', { body = true })"
            },
        ),
        Place(
            "/args",
            {"content": "try('/echo', { args = { 1 } }) try('/echo', { args = { a = print } })"},
        ),
        Place(
            "/multi",
            {
                "content": "try_multi() try_multi(1) try_multi({}) try_multi({ 1 }) "
                "try_multi({ {} }) try_multi({ { '/a', {}, 1 } }) try_multi({ { 1, 2 } }) "
                "try_multi({ { '/echo' }, { '/echo', 3 } }) try_multi({ 'x' }, 1)"
            },
        ),
        Place("/method", {"content": "try('/echo', { method = 3 })"}),
        Place("/unknown", {"content": "try('/echo', { vars = { none = 1 } })"}),
        Place("/fixed", {"content": "try('/echo', { vars = { request_uri = 1 } })"}),
        Place(
            "/header",
            {
                "header_filter": "ngx.header.x = select(2, pcall(ngx.location.capture, '/echo'))",
                **say("header"),
            },
        ),
        Place(
            "/timer",
            {
                "content": "local e ngx.timer.at(0, function() e = select(2, pcall("
                "ngx.location.capture, '/echo')) end) ngx.sleep(0.01) ngx.say(e)"
            },
        ),
        Place(
            "/exec/timer",
            {
                "content": "local e ngx.timer.at(0, function() e = select(2, pcall("
                "ngx.exec, '/echo')) end) ngx.sleep(0.01) ngx.say(e)"
            },
        ),
        Place(
            "/deep",
            {
                "content": "local n = tonumber(ngx.var.arg_n) if n == 0 then ngx.print('end') else "
                "ngx.print(ngx.location.capture('/deep', { args = { n = n - 1 } }).body) end"
            },
        ),
        Place("/cycle", {"content": "ngx.location.capture('/cycle')"}),
    ],
    [
        "/uris",
        "/options",
        "/args",
        "/multi",
        "/method",
        "/unknown",
        "/fixed",
        "/header",
        "/timer",
        "/exec/timer",
        "/deep?n=3",
        "/deep?n=50",
        "/deep?n=51",
        "/cycle",
    ],
)
