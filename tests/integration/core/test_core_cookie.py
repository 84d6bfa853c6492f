"""resty.cookie on live requests."""

from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]

APP = """
local cookies = require("resty.cookie")
return {
    content = function()
        local jar = cookies.new()
        local all, err = jar:get_all()
        ngx.header["X-Get"] = tostring(jar:get("a")) .. " " .. tostring((jar:get("x-b")))
        ngx.header["X-Err"] = err
        assert(jar:set({key = "k", value = "v", path = "/", httponly = true, secure = true,
                        samesite = "Lax", domain = "d", extension = "p"}))
        assert(jar:set({key = "m", value = "1", max_age = 60}))
        assert(jar:set({key = "n", value = "1"}))
        assert(jar:set({key = "n", value = "1"}))
        ngx.header["X-Bad"] = select(2, jar:set({key = "n"}))
        assert(jar:set({key = "o", value = "", samesite = "Z"}))
        ngx.say(all and all.d or "")
    end,
}
"""


def test_cookies_are_read_the_last_of_a_name_winning(gateway: Start) -> None:
    response = gateway(APP).request(headers=("Cookie: a=1; x-b = 2 ;a=3;d=p=q", "Cookie: e=1"))
    assert response.header("X-Get") == ["3 2"]
    assert response.body == "p=q\n"


def test_cookies_are_set_each_once(gateway: Start) -> None:
    response = gateway(APP).request()
    full, aged, plain, sloppy = response.header("Set-Cookie")
    assert full == "k=v; Domain=d; Path=/; Secure; HttpOnly; SameSite=Lax; p"
    assert aged == "m=1; Max-Age=60"
    assert plain == "n=1"
    assert response.header("X-Err") == ["no cookie found in the current request"]
    assert response.header("X-Bad") == ['missing cookie field "key" or "value"']
    assert sloppy == "o="  # an unknown samesite is left out, with a warning
