"""Owns the entry point of a worker process; what a worker does stands in pygw/vm/worker.py.

The privileged agent is a worker that serves nobody: the one process for jobs that are to run once.

Nothing that starts gevent or grpc may be imported before `begin()` has tied the process down.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pygw.process.entry import Child, begin

if TYPE_CHECKING:
    from pygw.gateway import Gateway


def main() -> None:
    """Serve until the master says stop; a start that fails is reported to it."""
    child = begin()
    from gevent import monkey

    monkey.patch_all()
    with child.reporting():
        serve(child)


def serve(child: Child) -> None:
    """Run the worker; signals reach it once it serves, before that they end the process."""
    import gevent

    from pygw.gateway import Gateway
    from pygw.vm.worker import Listener, Process

    process: Process = "privileged agent" if child.agent else "worker"
    worker = Gateway(
        child.settings,
        child.id,
        [
            Listener(fd, address.tls, address.site)
            for fd, address in zip(child.listen_fds, child.settings.listen, strict=False)
        ],
        child.app,
        process=process,
        shared_fds=child.shared_fds,
        careful=child.careful,
    )
    if worker.hook_calls.wants_log:
        child.log.tap = worker.hook_calls.on_record
    worker.start()
    gevent.signal_handler(signal.SIGTERM, worker.stop, False)
    gevent.signal_handler(signal.SIGQUIT, worker.stop, True)
    gevent.signal_handler(signal.SIGUSR1, _reopen, child, worker)
    child.ready(wants_agent=worker.wants_agent)
    worker.run()


def _reopen(child: Child, worker: Gateway) -> None:
    child.log.reopen()
    worker.note_reopen()


if __name__ == "__main__":
    main()
