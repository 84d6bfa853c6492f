"""`pygw settled`, and what `pygw.control` says of those that are no Control API."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pygw.cli import main
from pygw.control import ControlError, settled

ROUTE = {"uri": "/x", "plugins": {"mocking": {"response_example": "x"}}}


@pytest.fixture(scope="module")
def gateway(module_start: Any) -> Any:
    return module_start(plugins=["mocking"])


def pygw(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["settled", *arguments], prog_name="pygw")


def test_a_gateway_that_has_settled(gateway: Any) -> None:
    assert gateway.admin("PUT", "routes/x", ROUTE).status < 300
    result = pygw("--address", f"127.0.0.1:{gateway.control_port}")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"pygw: settled at revision \d+, 2 workers\n", result.stdout)


def test_a_revision_that_does_not_come(gateway: Any) -> None:
    address = str(gateway.control_port)
    result = pygw("--address", address, "--revision", "99999", "--timeout", "0.1")
    assert result.exit_code == 1
    assert re.fullmatch(
        r"pygw: not settled: the store is at revision \d+, not yet at 99999\n", result.stderr
    )


def test_the_address_is_that_of_the_configuration(gateway: Any, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    control = f"control: {{ip: 127.0.0.1, port: {gateway.control_port}}}"
    config.write_text(f"apisix: {{{control}}}\n")
    assert pygw("-c", str(config)).exit_code == 0


@pytest.mark.parametrize(
    ("apisix", "message"),
    [
        ("{enable_control: false}", "the Control API is not served (apisix.control)"),
        ("{control: {port: 0}}", "the kernel chose its port: --address tells it"),
    ],
)
def test_a_configuration_that_does_not_tell(tmp_path: Path, apisix: str, message: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"apisix: {apisix}\n")
    result = pygw("-c", str(config))
    assert result.exit_code == 1
    assert result.stderr == f"pygw: {config}: {message}\n"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        result = pygw("--address", address)
    assert result.exit_code == 1
    assert result.stderr == f"pygw: {address}: Connection refused\n"


@pytest.mark.parametrize("option", [("--timeout", "301"), ("--timeout", "-1"), ("--revision", "x")])
def test_arguments_that_make_no_sense(option: tuple[str, str]) -> None:
    assert pygw(*option).exit_code == 2


def test_a_site_that_is_no_control_api(gateway: Any) -> None:
    with pytest.raises(ControlError, match="404: 404 Route Not Found"):
        settled(gateway.port)


@pytest.fixture
def babbler() -> Iterator[int]:
    """Speaks no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            line, _ = listener.accept()
            with line:
                line.sendall(b"220 hello\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_server_that_speaks_no_http(babbler: int) -> None:
    with pytest.raises(ControlError, match="is no Control API"):
        settled(babbler)
