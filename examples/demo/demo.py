"""Starts the demo: an upstream, the gateway, and two routes put in through the Admin API.

`make run` runs it. Stop it with ^C.
"""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from demo_upstream import serve  # noqa: E402  # it stands beside this directory

GATEWAY, ADMIN, KEY, UPSTREAM_PORT = "127.0.0.1:9080", "127.0.0.1:9180", "pygw-demo-key", 1980

UPSTREAM = {"type": "roundrobin", "nodes": {f"127.0.0.1:{UPSTREAM_PORT}": 1}}
LIMIT = {"count": 2, "time_window": 10, "rejected_code": 429, "key": "remote_addr"}
ROUTES = {
    "hello": {"uri": "/hello", "upstream": UPSTREAM},
    "get": {"uri": "/get", "plugins": {"limit-count": LIMIT}, "upstream": UPSTREAM},
}

TRY = f"""
Try, in another terminal:

  curl http://{GATEWAY}/hello
  curl -i http://{GATEWAY}/get      # twice in 10 seconds, then the limit-count plugin says 429
  curl http://{ADMIN}/apisix/admin/routes -H 'X-API-KEY: {KEY}'

Stop with ^C.
"""


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


def main() -> int:
    """Run until the gateway ends; returns its exit code."""
    try:
        upstream = serve(UPSTREAM_PORT)
    except OSError as error:
        print(f"demo: no upstream on 127.0.0.1:{UPSTREAM_PORT}: {error.strerror}", file=sys.stderr)
        return 1
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "pygw", "run", "-c", str(HERE / "config.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        signal.signal(signal.SIGTERM, lambda *_: gateway.terminate())
        signal.signal(signal.SIGINT, lambda *_: gateway.terminate())
        try:
            introduce(gateway)
        except OSError as error:
            print(f"demo: the Admin API did not take the routes: {error}", file=sys.stderr)
            gateway.terminate()
        return gateway.wait()


def introduce(gateway: subprocess.Popen[str]) -> None:
    """Wait until the gateway serves, give it the routes, say what to try."""
    assert gateway.stdout is not None
    if started := gateway.stdout.readline():
        print(started, end="")
        for name, route in ROUTES.items():
            put_route(name, route)
        print(TRY, flush=True)


if __name__ == "__main__":
    sys.exit(main())
