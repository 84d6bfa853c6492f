"""A Python extension by which tests learn that a gateway in this process has applied a change."""

from gevent.event import Event

from pygw.hookspecs import ConfigChange, hookimpl

revisions: dict[str, int] = {}  # "routes/1" -> the revision last applied
changed = Event()


@hookimpl
def pygw_config_change(change: ConfigChange) -> None:
    revisions[f"{change.directory[1:]}/{change.id}"] = change.revision
    changed.set()
    changed.clear()
