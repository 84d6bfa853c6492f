"""A service to try the plugin with: `python risk_service.py PORT`. Its judgement is simple."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW = 2.0  # seconds


class Judge(BaseHTTPRequestHandler):
    """/admin is risky, /slow is hard to judge, the rest is not risky."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["path"].startswith("/slow"):
            time.sleep(SLOW)
        score = 90 if asked["path"].startswith("/admin") else 10
        body = json.dumps({"score": score}).encode()
        with contextlib.suppress(ConnectionError):  # who has asked may be gone
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Judge)
    print(f"risk service on 127.0.0.1:{server.server_port}", flush=True)
    server.daemon_threads = True
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
