"""Owns `pygw settled`: the barrier of scripts, asked of a running gateway's Control API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from pygw.cli.options import config_option, parse_address, settings_from
from pygw.config.settings import Settings
from pygw.config.yamlfile import ConfigError
from pygw.control import MAX_TIMEOUT, ControlError, Settled
from pygw.control import settled as ask


@click.command()
@config_option
@click.option(
    "--revision",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="Of the store; without it, what the store holds now.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, MAX_TIMEOUT),
    default=10,
    show_default=True,
    help="How long to wait.",
)
@click.option(
    "--address",
    metavar="IP:PORT",
    callback=parse_address,
    help="Where the Control API listens [default: apisix.control].",
)
def settled(
    config: Path | None, revision: int, timeout: float, address: tuple[str, int] | None
) -> None:
    """Wait until every worker of a running gateway has applied the configuration.

    Exits 0 when they have, 1 when some have not in time (they are named) or the gateway or its
    store does not answer.
    """
    try:
        host, port = address or _control_address(settings_from(config))
    except ConfigError as error:
        _die(str(error))
    try:
        found = ask(port, revision, timeout, host=host)
    except ControlError as error:
        _die(str(error))
    except OSError as error:
        _die(f"{host}:{port}: {error.strerror or error}")
    if not found.settled:
        _die(_behind(found, revision))
    workers = f"{len(found.workers)} worker{'s' if len(found.workers) != 1 else ''}"
    click.echo(f"pygw: settled at revision {found.revision}, {workers}")


def _control_address(settings: Settings) -> tuple[str, int]:
    source = str(settings.source)
    for listen in settings.listen:
        if listen.site == "control":
            if not listen.port:
                raise ConfigError("the kernel chose its port: --address tells it", file=source)
            wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
            return wildcard.get(listen.ip, listen.ip), listen.port
    raise ConfigError("the Control API is not served (apisix.control)", file=source)


def _die(message: str) -> NoReturn:
    click.echo(f"pygw: {message}", err=True)
    sys.exit(1)


def _behind(found: Settled, revision: int) -> str:
    if not found.late:
        return f"not settled: the store is at revision {found.revision}, not yet at {revision}"
    late = ", ".join(f"{id_} at {found.workers[id_]}" for id_ in found.late)
    return f"not settled at revision {found.revision}, workers that are behind: {late}"
