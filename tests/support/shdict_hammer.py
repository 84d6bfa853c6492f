"""The process that makes those of the kill test, by fork: hundreds of them start in no time.

    python shdict_hammer.py FD SIZE PROGRESS_FD

FD: the file of the dictionary of SIZE bytes; PROGRESS_FD: a page of 32-bit words. For each line
"INDEX SEED" on stdin it starts a process that hammers the dictionary, and prints its pid. It ends
when stdin does; those that it started die with it.
"""

import ctypes
import mmap
import os
import signal
import sys
from pathlib import Path

from pygw.vm.runtime import create_runtime

HAMMER = Path(__file__).with_suffix(".lua")
PR_SET_PDEATHSIG = 1


def main() -> None:
    fd, size, progress_fd = map(int, sys.argv[1:])
    progress = mmap.mmap(progress_fd, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(progress))
    lua = create_runtime()
    lua.execute('require "ngx.api"')
    hammer = lua.execute(HAMMER.read_text())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    parent = os.getpid()
    for line in sys.stdin:
        index, seed = map(int, line.split())
        pid = os.fork()
        if not pid:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == parent:
                hammer(fd, size, address, index, seed)
            os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
