"""Measures the hub's red-black tree against heapq with lazy cancellation and gevent's timers.

Two loads at a constant number of pending timers: nine timers in ten expire, or nine in ten are
cancelled. One operation is one timer's life: armed, then expired or cancelled. Costs are CPU time,
the measurement's own subtracted; a stall is the longest stretch of CPU time from one expiry to the
next. Must never be imported by the gateway. Run: `python benchmarks/timers.py [--quick]`.
"""

import argparse
import gc
import heapq
import json
import random
import resource
import subprocess
import sys
from array import array
from collections.abc import Callable
from time import process_time
from typing import Any

SIZES = (1_000, 100_000, 1_000_000)
LOADS = {"most expire": 0.1, "most are cancelled": 0.9}  # the share that is cancelled
RATE = 50_000  # timers that fall due in a second of gevent's time, which is real


class Tree:
    """`pygw.hub.timers.TimerQueue`, time advanced by hand."""

    def __init__(self, fired: Callable[[int], None]) -> None:
        from pygw.hub.timers import TimerQueue

        self.queue = TimerQueue()
        self.fired = fired
        self.now = 0.0

    def arm(self, delay: float, slot: int) -> Any:
        return self.queue.call_at(self.now + delay, slot)  # type: ignore[arg-type]

    def cancel(self, timer: Any) -> None:
        self.queue.cancel(timer)

    def run(self, more: Callable[[], bool]) -> None:
        pop, fired = self.queue.pop_due, self.fired
        while more():
            self.now = self.queue.tree.first.key
            fired(pop(self.now).callback)  # type: ignore[union-attr,arg-type]


class Heap:
    """heapq; a cancelled entry stays until it comes up, or until half of the heap is cancelled."""

    def __init__(self, fired: Callable[[int], None]) -> None:
        self.heap: list[list[Any]] = []
        self.fired = fired
        self.now = 0.0
        self.order = 0
        self.cancelled = 0

    def arm(self, delay: float, slot: int) -> Any:
        self.order += 1
        entry = [self.now + delay, self.order, slot]
        heapq.heappush(self.heap, entry)
        return entry

    def cancel(self, timer: Any) -> None:
        timer[2] = None
        self.cancelled += 1
        if self.cancelled > 64 and self.cancelled * 2 > len(self.heap):
            self.heap = [entry for entry in self.heap if entry[2] is not None]
            heapq.heapify(self.heap)
            self.cancelled = 0

    def run(self, more: Callable[[], bool]) -> None:
        fired, pop = self.fired, heapq.heappop
        while more():
            self.now, _, slot = pop(self.heap)
            if slot is None:
                self.cancelled -= 1
            else:
                fired(slot)


class Gevent:
    """gevent's loop timers (libev's heap in C), in real time: waiting costs no CPU time."""

    def __init__(self, fired: Callable[[int], None]) -> None:
        import gevent

        self.sleep = gevent.sleep
        self.new = gevent.get_hub().loop.timer
        self.fired = fired

    def arm(self, delay: float, slot: int) -> Any:
        timer = self.new(delay)
        timer.start(self._ring, timer, slot)
        return timer

    def _ring(self, timer: Any, slot: int) -> None:
        timer.close()
        self.fired(slot)

    def cancel(self, timer: Any) -> None:
        timer.stop()
        timer.close()

    def run(self, more: Callable[[], bool]) -> None:
        while more():
            self.sleep(0.005)


class Nothing:
    """No queue at all: the cost of the measurement itself, which is subtracted."""

    def __init__(self, fired: Callable[[int], None]) -> None:
        self.fired = fired

    def arm(self, delay: float, slot: int) -> Any:
        return slot

    def cancel(self, timer: Any) -> None:
        pass

    def run(self, more: Callable[[], bool]) -> None:
        while more():
            self.fired(0)


QUEUES = {"red-black tree": Tree, "heapq, lazy cancel": Heap, "gevent timers": Gevent}


def live(
    queue_class: Callable[..., Any],
    pending: int,
    share: float,
    lives: int,
    watch: Callable[[], None] | None = None,
) -> float:
    """Return CPU seconds for one timer's life at a constant number of `pending` timers.

    share: of them, how many are cancelled. watch: called at every expiry.
    """
    chance = random.Random(7)
    span = 2 * pending / RATE  # seconds: mean delay times RATE is the number of pending timers
    delays = array("d", (chance.uniform(0, span) for _ in range(65_521)))
    victims = array("l", (chance.randrange(pending) for _ in range(65_537)))
    per_expiry = round(share / (1 - share)) if share > 0.5 else 0
    per_cancel = round((1 - share) / share) if share <= 0.5 else 0
    count = 0

    def fired(slot: int) -> None:
        nonlocal count
        if watch:
            watch()
        count += 1
        timers[slot] = queue.arm(delays[count % 65_521], slot)
        cancels = per_expiry or count % per_cancel == 0
        for _ in range(cancels):
            count += 1
            victim = victims[count % 65_537]
            queue.cancel(timers[victim])
            timers[victim] = queue.arm(delays[count % 65_521], victim)

    queue = queue_class(fired)
    timers: list[Any] = []
    for slot in range(pending):
        timers.append(queue.arm(chance.uniform(0, span), slot))
    gc.collect()
    gc.freeze()  # or else a collection of all that is pending counts as a stall of the queue
    start = process_time()
    queue.run(lambda: count < lives)
    return (process_time() - start) / count


def longest_stall(queue_class: Callable[..., Any], pending: int, share: float, lives: int) -> float:
    """Return the most CPU seconds from one expiry to the next, once the load runs steadily."""
    last, longest, expiries = 0.0, 0.0, 0
    warm = lives * (1 - share) / 4  # what fell due while the timers were armed comes at once

    def watch() -> None:
        nonlocal last, longest, expiries
        now = process_time()
        expiries += 1
        if expiries > warm:
            longest = max(longest, now - last)
        last = now

    live(queue_class, pending, share, lives, watch)
    return longest


def measure(queue: str, pending: int, share: float, lives: int) -> dict[str, float]:
    """Measure in a process of its own, so that no heap inherits another's."""
    command = [sys.executable, __file__, "--one", queue, str(pending), str(share), str(lives)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(run.stdout))


def one(queue: str, pending: int, share: float, lives: int) -> None:
    QUEUES[queue](print)  # what it imports is not its timers' memory
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cost = live(QUEUES[queue], pending, share, lives)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - empty
    overhead = live(Nothing, 1_000, share, min(lives, 100_000))
    stall = longest_stall(QUEUES[queue], pending, share, lives)
    print(json.dumps({"us": (cost - overhead) * 1e6, "mb": grown / 1024, "ms": stall * 1e3}))


def table(sizes: tuple[int, ...], lives: int) -> None:
    """Print cost, its growth over the smallest size, stall and memory, for each load."""
    for load, share in LOADS.items():
        print(f"\n{load} ({share:.0%} cancelled): µs per timer's life [growth]; stall; memory\n")
        print("| queue | " + " | ".join(f"{size:,} pending" for size in sizes) + " |")
        print("|---|" + "---|" * len(sizes))
        for queue in QUEUES:
            cells = [measure(queue, size, share, lives) for size in sizes]
            base = cells[0]["us"]
            shown = [
                f"{c['us']:.2f} [{c['us'] / base:.1f}×]; {c['ms']:.1f} ms; {c['mb']:.0f} MB"
                for c in cells
            ]
            print(f"| {queue} | " + " | ".join(shown) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no 1M size, fewer operations")
    parser.add_argument("--one", nargs=4, metavar="ARG", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        queue, pending, share, lives = args.one
        one(queue, int(pending), float(share), int(lives))
    elif args.quick:
        table(SIZES[:2], 50_000)
    else:
        table(SIZES, 500_000)


if __name__ == "__main__":
    main()
