"""Owns a network for a thread and what it starts: ports that nobody else has, no way out.

It has loopback, an address that is refused at once (0.0.0.1), and a default route into nowhere,
which 127.0.0.2:12345 takes too, so that connecting to these is met with silence: blocks about
time-outs count on all that.
Needs root and iproute2; without them blocks run in the machine's own network.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

_CLONE_NEWNET = 0x40000000
ADDRESS = "198.18.0.1"  # that is not of loopback
_SETUP = f"""
link set lo up
link add nowhere type veth peer name beyond
link set nowhere arp off up
link set beyond arp off up
addr add {ADDRESS}/32 dev nowhere
route add default dev nowhere
route add prohibit 0.0.0.1/32
route add default dev nowhere table 12345
rule add pref 1 to 127.0.0.2 ipproto tcp dport 12345 lookup 12345
rule add pref 2 lookup local
rule del pref 0
"""


def isolate() -> bool:
    """Give the calling thread, and all that it starts, such a network. Returns whether it could."""
    ip = shutil.which("ip")
    if os.geteuid() != 0 or not ip:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return False
    subprocess.run([ip, "-batch", "-"], input=_SETUP, text=True, check=True, capture_output=True)
    return True
