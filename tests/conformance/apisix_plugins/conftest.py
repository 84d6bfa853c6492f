"""A gateway whose plugin directory is an APISIX checkout, named by --apisix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway import Gateway, Upstream, excuse, running_gateway

from pygw.hub.clock import VirtualClock

PLUGINS = (
    "key-auth",
    "limit-count",
    "proxy-rewrite",
    "response-rewrite",
    "cors",
    "ip-restriction",
    "request-id",
    "fault-injection",
    "redirect",
    "uri-blocker",
    "limit-req",
    "limit-conn",
)


@pytest.fixture(scope="session")
def checkout(request: pytest.FixtureRequest) -> Path:
    """The APISIX checkout."""
    directory: Path | None = request.config.getoption("--apisix")
    if not directory:
        pytest.skip("needs --apisix DIR, a checkout of APISIX 3.18")
    assert (directory / "apisix" / "plugins").is_dir(), f"{directory} is no APISIX checkout"
    return directory.resolve()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Gateway]:
    """In virtual time. serverless-pre-function is there to look inside."""
    config = {
        "plugins": [*PLUGINS, "serverless-pre-function"],
        "plugin_attr": {"redirect": {"https_port": 8443}},
        "pygw": {"plugin_dirs": [str(checkout)]},
    }
    upstream = Upstream()
    try:
        base = tmp_path_factory.mktemp("gateway")
        with running_gateway(base, upstream, config, VirtualClock()) as gateway:
            yield gateway
    finally:
        upstream.stop()


@pytest.fixture(autouse=True)
def _gateways_of_the_module_go_on() -> Iterator[None]:
    yield
    excuse()
