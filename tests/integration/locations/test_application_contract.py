"""What an application may say, and what a worker says of one that it refuses."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

SAY = "function() ngx.say('x') end"


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ("return 1", "must return a table of phase handlers, not number"),
        ("return {}", "neither a 'content' nor a 'balancer' handler, nor locations"),
        ("return { contnet = 1 }", "has an unknown key 'contnet', which is none of an application"),
        ("return { content = 1 }", "'s content must be a function, not number"),
        (
            f"return {{ content = {SAY}, locations = {{ {{ path = '/', acess = {SAY} }} }} }}",
            "'s locations[1] has an unknown key 'acess', which is none of a location",
        ),
        (
            f"return {{ locations = {{ {{ path = '/', server_rewrite = {SAY} }} }} }}",
            "'s locations[1] has an unknown key 'server_rewrite'",
        ),
        (
            "return { servers = { {}, { locations = { { path = '/', locations = { {} } } } } } }",
            "'s servers[2].locations[1].locations[1] has no path",
        ),
        (
            "return { servers = {}, locations = {} }",
            "'s locations stand beside 'servers': they belong into one of these",
        ),
        (
            "return { servers = { { names = 'a' } } }",
            "'s servers[1].names must be a table, not string",
        ),
        (
            "return { servers = { { names = { x = 'a' } } } }",
            "'s servers[1].names must be an array of names, it has the key 'x'",
        ),
        (
            "return { servers = { { listeners = { 0 } } } }",
            "'s servers[1].listeners[1] must be the number of a listener (1, 2, ...), not 0",
        ),
        (
            "return { servers = { { listeners = { 1, 3 } } } }",
            "'s servers[1].listeners has 3: the worker has 1 listener",
        ),
        (
            "return { locations = { { path = '/', match = 'glob' } } }",
            "'s locations[1].match must be prefix, exact, prefer, regex, regex_i or named",
        ),
        (
            "return { locations = { { path = 'x', match = 'named' } } }",
            "'s locations[1].path is 'x': the path of a named location begins with '@'",
        ),
        ("return { locations = { { path = '@x' } } }", "only a named location's path"),
        (
            "return { locations = { { path = '/a' }, { path = '/a', match = 'prefer' } } }",
            "has the location '/a' (prefix) twice on one level",
        ),
        (
            "return { locations = { { path = '(', match = 'regex' } } }",
            "'s regex '(' cannot be compiled",
        ),
        (
            "return { locations = { { path = '/a', locations = { { path = '/b' } } } } }",
            "'s locations[1].locations holds '/b', which is outside of '/a'",
        ),
        (
            "return { locations = { { path = '/a', match = 'exact', "
            "locations = { { path = '/a' } } } } }",
            "'s locations[1] cannot have locations of its own: it is an exact one",
        ),
        (
            "return { locations = { { path = '/', "
            "locations = { { path = '@a', match = 'named' } } } } }",
            "holds '@a': a named location can be on the server level only",
        ),
        (
            "return { locations = { { path = '/', settings = { send_timeuot = 1 } } } }",
            "'s locations[1].settings has an unknown key 'send_timeuot': no setting of that name",
        ),
        (
            "return { locations = { { path = '/', settings = { send_timeout = '1' } } } }",
            "'s locations[1].settings.send_timeout must be a number, not string",
        ),
        (
            "return { locations = { { path = '/', error_pages = { [200] = '/x' } } } }",
            "'s locations[1].error_pages has the key '200': a status between 300 and 599",
        ),
        (
            "return { locations = { { path = '/', error_pages = { [404] = { url = '/x' } } } } }",
            "'s locations[1].error_pages[404] has an unknown key 'url' (uri, status)",
        ),
        (
            "return { locations = { { path = '/', error_pages = { [404] = 1 } } } }",
            "'s locations[1].error_pages[404] must be a URI or a table with a uri, not number",
        ),
        (
            f"return {{ content = {SAY}, variables = {{ ['a-b'] = '' }} }}",
            "'s variables has a bad name 'a-b': letters, digits and '_' are allowed",
        ),
        (
            f"return {{ content = {SAY}, variables = {{ a = 1 }} }}",
            "'s variables.a must be a string, not number",
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(app_server: Start, app: str, why: str) -> None:
    with pytest.raises(AssertionError) as caught:
        app_server(app)
    assert "the application" in str(caught.value)
    assert why in str(caught.value)


def test_handlers_are_inherited_and_the_innermost_wins_whole(app_server: Start) -> None:
    app = """
    local function add(name)
        return function() ngx.header.x = (ngx.header.x or "") .. name end
    end
    local function say(name) return function() ngx.say(name) end end
    return {
        rewrite = add("app"), header_filter = add("-filter"), content = say("app"),
        servers = { {
            access = add("-server"),
            locations = {
                { path = "/" },
                { path = "/a", rewrite = add("a"), content = say("a"), locations = {
                    { path = "/a/b", access = add("-b") },
                    { path = "/a/c", content = say("c") },
                } },
            },
        } },
    }
    """
    server = app_server(app)

    def asked(target: str) -> tuple[int, str | None, str]:
        response = server.ask(target)
        return response.status, response.header("X"), response.text.strip()

    assert asked("/") == (200, "app-server-filter", "app")
    assert asked("/a") == (200, "a-server-filter", "a")
    assert asked("/a/c") == (200, "a-server-filter", "c")
    status, header, _ = asked("/a/b")
    assert (status, header) == (404, "a-b-filter")  # content is not a nested location's


def test_a_location_without_content_is_not_found(app_server: Start) -> None:
    server = app_server("return { locations = { { path = '/a' } } }")
    assert server.ask("/a").status == 404
    assert server.ask("/b").status == 404


def test_a_path_that_lacks_the_slash_of_a_proxied_one(app_server: Start) -> None:
    app = """
    local function peer() require("ngx.balancer").set_current_peer("127.0.0.1", 1) end
    return { locations = {
        { path = "/api/", balancer = peer },
        { path = "/own/", balancer = peer },
        { path = "/own", match = "exact", content = function() ngx.say("own") end },
        { path = "/said/", content = function() ngx.say("said") end },
    } }
    """
    server = app_server(app)
    response = server.ask("/api?a=b")
    assert response.status == 301
    assert response.header("Location") == f"http://test:{server.port}/api/?a=b"
    assert server.ask("/own").text == "own\n"
    assert server.ask("/said").status == 404
