"""Owns a maintenance mode: while a file is there, every request is answered with 503."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from pygw.hookspecs import Config, ConfigKey, hookimpl
from pygw.plugin import Context, Response

log = logging.getLogger("maintenance")

_file = Path("maintenance")
_seconds = 60


@hookimpl
def pygw_config_schema() -> Mapping[str, ConfigKey]:
    return {
        "maintenance.file": ConfigKey(str, "maintenance"),
        "maintenance.retry_after": ConfigKey(int, 60, _at_least_one),
    }


def _at_least_one(seconds: int) -> None:
    if seconds < 1:
        raise ValueError(f"must be at least 1, not {seconds}")


@hookimpl
def pygw_worker_start(worker_id: int, config: Config) -> None:
    global _file, _seconds  # noqa: PLW0603 - a worker has one configuration
    _file = Path(config["maintenance"]["file"])
    _seconds = config["maintenance"]["retry_after"]
    log.warning("worker %d looks for %s", worker_id, _file)


@hookimpl
def pygw_rewrite(ctx: Context) -> Response | None:
    if _file.exists():
        answer = {"message": "back soon"}
        return Response(503, answer, {"Retry-After": str(_seconds)})
    return None


@hookimpl
def pygw_cli_commands() -> Iterable[click.Command]:
    return [maintenance]


@click.command()
@click.argument("state", type=click.Choice(["on", "off"]))
@click.option("--file", default="maintenance", show_default=True, help="maintenance.file.")
def maintenance(state: str, file: str) -> None:
    """Turn the maintenance mode on or off."""
    if state == "on":
        Path(file).touch()
    else:
        Path(file).unlink(missing_ok=True)
    click.echo(f"maintenance is {state}")
