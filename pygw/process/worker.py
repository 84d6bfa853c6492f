"""Owns the entry point of a worker process; what a worker does stands in pygw/vm/worker.py.

Nothing that starts gevent or grpc may be imported before `begin()` has tied the process down.
"""

from pygw.process.entry import begin


def main() -> None:
    """Serve until the master says stop; a start that fails is reported to it."""
    child = begin()
    with child.reporting():
        from pygw.vm.worker import Worker

        worker = Worker(child.settings, child.id, child.listen_fds, child.app)
        worker.on_ready = child.ready
        worker.run()


if __name__ == "__main__":
    main()
