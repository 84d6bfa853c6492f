"""A tiny upstream for the examples: answers every request with what it received, as JSON.

Run `python examples/demo_upstream.py [PORT]`; it listens on 127.0.0.1 only.
"""

import contextlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """GET, POST, …: 200 with the method, the path and the headers; /hello greets."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        """Read the body that was announced, then answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/hello":
            return self.reply("text/plain", b"hello from the upstream\n")
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers),
            "body": body.decode("latin-1"),
        }
        return self.reply("application/json", json.dumps(seen, indent=2).encode() + b"\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def reply(self, content_type: str, body: bytes) -> None:
        """Send 200 with this body."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet: the gateway has the log."""


def serve(port: int) -> ThreadingHTTPServer:
    """Return a server bound to 127.0.0.1:port; call its serve_forever()."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Echo)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    upstream = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 1980)
    print(f"demo upstream on 127.0.0.1:{upstream.server_port}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        upstream.serve_forever()
