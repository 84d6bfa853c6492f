"""Log entries that wait when the gateway is told to stop."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

from .conftest import PATIENCE, StartGateway

CONFIG = """
apisix:
  node_listen: [{ip: 127.0.0.1, port: 0}]
  enable_admin: false
deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}
nginx_config: {worker_processes: 1}
plugins: [tcp-logger, serverless-pre-function]
"""
ROUTES = """
routes:
  - id: one
    uri: /one
    plugins:
      tcp-logger: {host: 127.0.0.1, port: %d, inactive_timeout: 600}
      serverless-pre-function:
        functions: ["return function() ngx.print(ngx.worker.pid()) ngx.exit(200) end"]
#END
"""


def test_they_are_sent_before_the_end(start: StartGateway, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        (tmp_path / "apisix.yaml").write_text(ROUTES % listener.getsockname()[1])
        gateway = start(CONFIG, app=None).started()
        for _ in range(2):
            gateway.get("/one")
        gateway.tell(signal.SIGQUIT)
        connection, _ = listener.accept()
        with connection, connection.makefile() as stream:
            entries = json.load(stream)
        assert [entry["request"]["uri"] for entry in entries] == ["/one", "/one"]
        assert gateway.ended() == 0
