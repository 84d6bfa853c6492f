"""A plugin that lets the members of teams in, and a hook that tells what has changed."""

import logging
from typing import Any

from pygw.hookspecs import ConfigChange, hookimpl
from pygw.plugin import Context, Plugin, Response

log = logging.getLogger("teams")


class Teams(Plugin):
    """Tells the upstream which team a user is of; who is of none does not get there."""

    name = "teams"
    priority = 2000
    schema = {
        "type": "object",
        "properties": {
            "members": {"type": "object", "additionalProperties": {"type": "string"}},
            "header": {"type": "string", "default": "X-Team"},
        },
        "required": ["members"],
    }

    def access(self, conf: dict[str, Any], ctx: Context) -> Response | None:
        """Find the team. A call that waits, of a data base say, would delay this request alone."""
        user = ctx.request.headers.get("x-user", "nobody")
        team = conf["members"].get(user)
        if team is None:
            return Response(403, {"message": f"{user} is in no team"})
        ctx.request.headers[conf["header"]] = ctx.state["team"] = team
        return None

    def header_filter(self, conf: dict[str, Any], ctx: Context) -> None:
        """Tell the client, too."""
        if "team" in ctx.state:
            ctx.response.headers["X-Served-For"] = ctx.state["team"]


@hookimpl
def pygw_config_change(change: ConfigChange) -> None:
    """Called once for every item that this worker has applied."""
    state = "is gone" if change.value is None else "is in force"
    log.warning("%s/%s %s", change.directory, change.id, state)
