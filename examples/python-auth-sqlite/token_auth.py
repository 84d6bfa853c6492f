"""A plugin that lets in who has a token of a SQLite database; `pygw token` gives them out."""

from __future__ import annotations

import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from gevent.threadpool import ThreadPool

from pygw.hookspecs import hookimpl
from pygw.plugin import Context, Plugin, Response

log = logging.getLogger("token-db-auth")

DATABASE = Path(__file__).with_name("tokens.db")
TABLE = """
CREATE TABLE IF NOT EXISTS tokens (
    digest TEXT PRIMARY KEY,  -- whoever reads the file has learnt no token
    user TEXT NOT NULL,
    expires REAL NOT NULL     -- seconds since the epoch
) WITHOUT ROWID
"""
FIND = "SELECT user FROM tokens WHERE digest = ? AND expires > ?"
DAY = 86_400.0


class TokenAuth(Plugin):
    """Finds the user whose token a request has, and attaches the consumer that is that user.

    plugin_attr may name another `database`. When that does not answer nobody is let in.
    """

    name = "token-db-auth"
    priority = 2550
    schema = {
        "type": "object",
        "properties": {"hide_credentials": {"type": "boolean", "default": True}},
    }
    consumer_schema = {
        "type": "object",
        "properties": {"user": {"type": "string", "minLength": 1}},
        "required": ["user"],
    }
    timeout = 2.0

    def init(self) -> None:
        """Open the database. SQLite blocks where gevent does not see it, hence the thread."""
        self._thread = ThreadPool(1)
        file = Path(self.attr.get("database", DATABASE))
        self._database: sqlite3.Connection = self._thread.apply(open_database, (file,))

    def destroy(self) -> None:
        """Close it."""
        self._thread.apply(self._database.close)
        self._thread.kill()

    def rewrite(self, conf: dict[str, Any], ctx: Context) -> Response | None:
        """Only this request waits for the thread."""
        scheme, _, token = ctx.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return refused("a token is needed")
        now = float(ctx.var["msec"] or 0)  # the gateway's time, which tests can move
        user, fault = self._thread.apply(self._find, (token, now))
        if fault:
            log.error("the database does not answer: %s", fault)
            return Response(503, {"message": "tokens cannot be checked now"})
        consumer = ctx.find_consumer(self.name, "user", user) if user else None
        if consumer is None:
            return refused("the token is not valid")
        ctx.attach_consumer(consumer)
        if conf["hide_credentials"]:
            del ctx.request.headers["authorization"]
        return None

    def _find(self, token: str, now: float) -> tuple[str | None, str | None]:
        """The user of a token, and what is wrong with the database. In the thread."""
        try:
            row = self._database.execute(FIND, (digest(token), now)).fetchone()
        except sqlite3.Error as error:
            return None, str(error)
        return row and str(row[0]), None


def refused(message: str) -> Response:
    return Response(401, {"message": message}, {"WWW-Authenticate": "Bearer"})


def digest(token: str) -> str:
    """What is stored of a token: it is random, so a fast hash will do."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def open_database(file: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use; makes the table that is not there."""
    database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")  # readers need not wait for a writer
    database.execute(TABLE)
    return database


def add_token(file: Path, user: str, expires: float) -> str:
    """Give the user a new token; returns it."""
    token = secrets.token_urlsafe(32)
    with closing(open_database(file)) as database:
        database.execute("INSERT INTO tokens VALUES (?, ?, ?)", (digest(token), user, expires))
    return token


def revoke_tokens(file: Path, user: str) -> int:
    """Take all tokens from the user; returns how many there were."""
    with closing(open_database(file)) as database:
        return database.execute("DELETE FROM tokens WHERE user = ?", (user,)).rowcount


@hookimpl
def pygw_cli_commands() -> Iterable[click.Command]:
    return [command]


@click.group("token")
def command() -> None:
    """Give out and revoke the tokens that token-db-auth takes."""


@command.command()
@click.argument("user")
@click.option("--days", default=30.0, show_default=True, help="How long it is valid.")
@click.option("--database", type=Path, default=DATABASE, help="The plugin's.")
def add(user: str, days: float, database: Path) -> None:
    """Print a new token of the user."""
    click.echo(add_token(database, user, time.time() + days * DAY))


@command.command()
@click.argument("user")
@click.option("--database", type=Path, default=DATABASE, help="The plugin's.")
def revoke(user: str, database: Path) -> None:
    """Let the user's tokens not be valid any more."""
    click.echo(f"revoked: {revoke_tokens(database, user)}")
