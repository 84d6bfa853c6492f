"""Subrequests end in the same results as in nginx with ngx_lua."""

from collections.abc import Iterator

import pytest
from support.app_server import AppServer, running_app
from support.capture_cases import INIT, MISTAKES, OPTIONS, VARIABLES
from support.capture_end_cases import ENDS, MULTI
from support.locations import application, ask, asks_of, comparable, nginx_config
from support.nginx import Nginx, configured_nginx

CASES = {"options": OPTIONS, "ends": ENDS, "multi": MULTI, "mistakes": MISTAKES}


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    def config(prefix: str, port: int) -> str:
        return nginx_config(CASES, INIT, VARIABLES, prefix, port)

    with configured_nginx(config) as server:
        yield server


@pytest.fixture(scope="module")
def app() -> Iterator[AppServer]:
    with running_app(application(CASES, INIT, VARIABLES)) as server:
        yield server


@pytest.mark.parametrize(("host", "what"), asks_of(CASES))
def test_the_same_result(app: AppServer, nginx: Nginx, host: str, what: str) -> None:
    with app.connect() as ours, nginx.connect() as theirs:
        assert comparable(ask(ours, host, what)) == comparable(ask(theirs, host, what))
