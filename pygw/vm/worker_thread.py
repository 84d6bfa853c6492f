"""Owns threads that run Lua functions (ngx.run_worker_thread), each job in a Lua VM of its own.

A VM serves one job at a time and many after each other; lupa gives up the GIL while it runs. What
goes in and comes out are strings that Lua packs and unpacks. Must never touch the worker's own VM.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import gevent
from gevent.threadpool import ThreadPool

from pygw.vm.luajit import LuaRuntime

log = logging.getLogger(__name__)

_GRACE = 2.0  # seconds that running jobs get to end when the worker does

Answer = bytes | tuple[None, str]


class _Vm:
    """A Lua VM for jobs, used by one thread at a time; the `number`th of the process, from 1 on."""

    def __init__(self, runtime: LuaRuntime, number: int) -> None:
        self._number = number
        self._run: Any = runtime.eval('require("server.thread_vm")')
        self._collect: Any = runtime.eval("collectgarbage")

    def run(self, boot: str, job: tuple[str, ...]) -> str:
        packed = str(self._run(self._number, boot, *job))
        self._collect()
        return packed


class _Pool:
    """A named pool. waiting: jobs that no thread has taken yet."""

    def __init__(self, name: str, threads: int, max_queue: int) -> None:
        self.name, self.max_queue = name, max_queue
        self.threads = ThreadPool(threads)
        self.jobs = 0

    @property
    def waiting(self) -> int:
        return max(0, self.jobs - int(self.threads.maxsize))


class WorkerThreads:
    """The pools and VMs of one worker; `new_runtime` makes a VM that finds the modules of Lua."""

    def __init__(self, new_runtime: Callable[[], LuaRuntime]) -> None:
        self._new_runtime = new_runtime
        self._pools: dict[str, _Pool] = {}
        self._idle: list[_Vm] = []
        self._vms = 0
        self._numbers = itertools.count(1)

    def run(
        self,
        pool_name: str,
        threads: int,
        max_queue: int,
        max_vms: int,
        boot: str,
        *job: str,
    ) -> Answer:
        """Run one job in a thread, and wait for it; `boot` and `job` as lua/server/thread_vm.lua.

        Returns the packed results, or None and why the job was not begun.
        """
        pool = self._pools.get(pool_name)
        if pool is None:
            pool = self._pools[pool_name] = _Pool(pool_name, int(threads), int(max_queue))
        if not self._idle and self._vms >= max_vms:
            return None, "no available Lua vm"
        if pool.waiting >= pool.max_queue:
            log.critical(
                'thread pool "%s" queue overflow: %d tasks waiting', pool.name, pool.waiting
            )
            return None, "ngx_thread_task_post failed"
        return self._run_in(pool, boot, job)

    def _run_in(self, pool: _Pool, boot: str, job: tuple[str, ...]) -> Answer:
        vm = self._idle.pop() if self._idle else None
        if vm is None:
            self._vms += 1
        pool.jobs += 1
        try:
            vm, packed = pool.threads.apply(self._work, (vm, boot, job))
        finally:
            pool.jobs -= 1
            if vm is None:
                self._vms -= 1
            else:
                self._idle.append(vm)
        return str(packed).encode("latin-1")

    def _work(self, vm: _Vm | None, boot: str, job: tuple[str, ...]) -> tuple[_Vm, str]:
        """In the thread."""
        vm = vm or _Vm(self._new_runtime(), next(self._numbers))
        return vm, vm.run(boot, job)

    def close(self) -> None:
        """End the threads; one that goes on for longer is left to the end of the process."""
        for pool in self._pools.values():
            with gevent.Timeout(_GRACE, False):
                pool.threads.kill()
        self._pools.clear()
