"""The same servers give the same answers as in nginx with ngx_lua."""

from collections.abc import Iterator

import pytest
from support.app_server import AppServer, running_app
from support.error_page_cases import OF_SERVER, PAGES
from support.location_cases import EXEC, JUMP, NESTED, ORDER, PHASES
from support.locations import application, ask, asks_of, comparable, nginx_config
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


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    with configured_nginx(lambda prefix, port: nginx_config(CASES, "", [], prefix, port)) as server:
        yield server


@pytest.fixture(scope="module")
def app() -> Iterator[AppServer]:
    with running_app(application(CASES, "", [])) as server:
        yield server


@pytest.mark.parametrize(("host", "what"), asks_of(CASES))
def test_the_same_answer(app: AppServer, nginx: Nginx, host: str, what: str) -> None:
    with app.connect() as ours, nginx.connect() as theirs:
        assert comparable(ask(ours, host, what)) == comparable(ask(theirs, host, what))
