"""The same servers give the same answers as in nginx with ngx_lua."""

import re
from collections.abc import Iterator

import pytest
from support.app_server import AppServer, running_app
from support.error_page_cases import OF_SERVER, PAGES
from support.http import Response
from support.location_cases import EXEC, JUMP, NESTED, ORDER, PHASES
from support.locations import Case, application, ask, nginx_config
from support.nginx import Nginx, configured_nginx

CASES = {
    "order": ORDER,
    "nested": NESTED,
    "phases": PHASES,
    "exec": EXEC,
    "jump": JUMP,
    "pages": PAGES,
    "of-server": OF_SERVER,
}
ASKS = [
    pytest.param(name, what, id=f"{name}-{what if isinstance(what, str) else ' '.join(what[:2])}")
    for name, case in CASES.items()
    for what in case.asks
]


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    with configured_nginx(lambda prefix, port: nginx_config(CASES, "", [], prefix, port)) as server:
        yield server


@pytest.fixture(scope="module")
def app() -> Iterator[AppServer]:
    with running_app(application(CASES, "", [])) as server:
        yield server


def shown(response: Response) -> tuple[object, ...]:
    """What is compared: the pages of the servers themselves name them."""
    fields = sorted(
        (name.lower(), value)
        for name, value in response.headers
        if name.lower() not in ("server", "date", "content-length")
    )
    body = re.sub(r"<hr><center>.*?</center>", "", response.text)
    return response.status, fields, re.sub(r"\S*(conf|app\.lua):\d+: ", "", body)


@pytest.mark.parametrize(("host", "what"), ASKS)
def test_the_same_answer(app: AppServer, nginx: Nginx, host: str, what: object) -> None:
    with app.connect() as ours, nginx.connect() as theirs:
        assert shown(ask(ours, host, what)) == shown(ask(theirs, host, what))


def test_every_case_is_asked_for_something() -> None:
    assert all(isinstance(case, Case) and case.asks for case in CASES.values())
