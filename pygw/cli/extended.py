"""Owns the commands that hooks add to `pygw`: looked for when they are listed, or one is not ours.

What config.yaml names counts, of -c/--config or of this directory, and what is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from pygw.cli.options import settings_from
from pygw.config.settings import load
from pygw.config.yamlfile import ConfigError


class Commands(click.Group):
    """The group of `pygw`'s commands. One of its own can not be replaced."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        ctx.meta[__name__] = args[1:]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        return own or self._added(ctx).get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *sorted(name for name in self._added(ctx) if name not in own)]

    def _added(self, ctx: click.Context) -> dict[str, click.Command]:
        key = f"{__name__}.added"
        if key not in ctx.meta:
            ctx.meta[key] = self._find(ctx.meta.get(__name__, []))
        found: dict[str, click.Command] = ctx.meta[key]
        return found

    def _find(self, args: list[str]) -> dict[str, click.Command]:
        from pygw.extensions.manager import ExtensionError, Extensions

        found: dict[str, click.Command] = {}
        try:
            try:
                settings = settings_from(_config_of(args))
            except ConfigError as error:
                _warn(str(error))
                settings = load()
            hook = Extensions(settings).manager.hook
            for commands in hook.pygw_cli_commands():
                for command in commands:
                    _add(found, command, self.commands)
        except ExtensionError as error:
            _warn(str(error))
        except Exception as error:
            _warn(f"a pygw_cli_commands hook failed: {type(error).__name__}: {error}")
        return found


def _add(
    found: dict[str, click.Command], command: click.Command, own: Mapping[str, click.Command]
) -> None:
    if not isinstance(command, click.Command):
        raise TypeError(f"it gave {command!r}: give click.Command")
    if command.name is None or command.name in own or command.name in found:
        raise ValueError(f'the name "{command.name}" is taken, or none')
    found[command.name] = command


def _config_of(args: list[str]) -> Path | None:
    for i, arg in enumerate(args):
        if arg in ("-c", "--config") and i + 1 < len(args):
            return Path(args[i + 1])
        if arg.startswith("--config="):
            return Path(arg.partition("=")[2])
    return None


def _warn(message: str) -> None:
    click.echo(f"pygw: warning: commands of hooks are not there: {message}", err=True)
