"""Starts the demo: an upstream, the gateway, and two routes put in through the Admin API.

`make run` runs it; ^C stops it. GATEWAY_PORT, ADMIN_PORT, CONTROL_PORT and UPSTREAM_PORT in the
environment name other ports than 9080, 9180, 9090 and 1980.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from demo_upstream import serve  # noqa: E402  # it stands beside this directory

GATEWAY = f"127.0.0.1:{os.environ.get('GATEWAY_PORT', '9080')}"
ADMIN = f"127.0.0.1:{os.environ.get('ADMIN_PORT', '9180')}"
UPSTREAM_PORT = os.environ.get("UPSTREAM_PORT", "1980")
KEY = "pygw-demo-key"  # as in config.yaml

UPSTREAM = {"type": "roundrobin", "nodes": {f"127.0.0.1:{UPSTREAM_PORT}": 1}}
LIMIT = {"count": 2, "time_window": 10, "rejected_code": 429, "key": "remote_addr"}
ROUTES: dict[str, dict[str, object]] = {
    "greet": {"uri": "/greet", "plugins": {"greeting": {"name": "pygw"}}, "upstream": UPSTREAM},
    "get": {"uri": "/get", "plugins": {"limit-count": LIMIT}, "upstream": UPSTREAM},
}

TRY = f"""
Try, in another terminal:

# A Lua plugin answers: examples/lua-plugin/plugins/greeting.lua
  curl http://{GATEWAY}/greet -H 'X-Greet: 1'

# The demo upstream answers; more than twice in 10 seconds, limit-count does, with 429
  curl -i http://{GATEWAY}/get

# Have the plugin greet you, then try the first again
  curl http://{ADMIN}/apisix/admin/routes/greet -H 'X-API-KEY: {KEY}' -X PATCH -d '{{"plugins": {{"greeting": {{"name": "you"}}}}}}'

Stop with ^C.
"""  # noqa: E501  # a command to paste stands in one line


def put_route(name: str, route: dict[str, object]) -> None:
    """Create or replace a route through the Admin API."""
    request = Request(
        f"http://{ADMIN}/apisix/admin/routes/{name}",
        data=json.dumps(route).encode(),
        headers={"X-API-KEY": KEY, "Content-Type": "application/json"},
        method="PUT",
    )
    with urlopen(request, timeout=10):
        pass


def introduce() -> None:
    """Give the gateway its routes, and say what to try."""
    for name, route in ROUTES.items():
        put_route(name, route)
    print(TRY, flush=True)


def main() -> int:
    """Run until the gateway ends; returns its exit code."""
    try:
        upstream = serve(int(UPSTREAM_PORT))
    except OSError as error:
        where = f"127.0.0.1:{UPSTREAM_PORT}: {error.strerror}"
        print(f"demo: no upstream on {where}; UPSTREAM_PORT=… chooses another", file=sys.stderr)
        return 1
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "pygw", "run", "-c", str(HERE / "config.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: gateway.terminate())
        assert gateway.stdout is not None
        if started := gateway.stdout.readline():  # it serves
            print(started, end="")
            try:
                introduce()
            except OSError as error:
                if gateway.poll() is None:
                    gateway.terminate()
                    print(f"demo: the Admin API did not take the routes: {error}", file=sys.stderr)
                    return 1
        return gateway.wait()


if __name__ == "__main__":
    sys.exit(main())
