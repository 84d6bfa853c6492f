"""Owns what stands around a block of a file that says `use t::APISIX`: nginx.conf, config.yaml.

The servers and ports are those of APISIX's own t/APISIX.pm. Must never run anything.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pygw.testing.tfiles import conf
from pygw.testing.tfiles.spec import Block, Spec

PORT = 1984
STOCK = Path(__file__).with_name("lua_apisix")  # modules for files without a checkout around them
_LOGS = ("error_log", "no_error_log", "grep_error_log", "ignore_error_log")
_FILES = {
    "debug_config": "debug.yaml",
    "apisix_yaml": "apisix.yaml",
    "apisix_json": "apisix.json",
}
_TIMEOUT = "5"  # seconds
_EXEC = "/exec_request"
_DEFAULT = f"""apisix:
  node_listen: {PORT}
  proxy_mode: http&stream
  stream_proxy: {{tcp: [9100]}}
  enable_resolv_search_opt: false
  trusted_addresses: [127.0.0.1]
"""
_STANDALONE = f"""apisix:
  node_listen: {PORT}
  enable_admin: false
deployment:
  role: data_plane
  role_data_plane:
    config_provider: """
_DEPLOYMENT = """deployment:
  role: traditional
  role_traditional: {config_provider: etcd}
  admin: {admin_key: null}
"""
_ANSWER = """
        server_tokens off;
        location / {
            content_by_lua_block { require("lib.server").go() }
            more_clear_headers Date;
        }
"""
_TLS = """ssl_certificate cert/apisix.crt;
        ssl_certificate_key cert/apisix.key;
        lua_ssl_trusted_certificate cert/apisix.crt;
"""


def framed(block: Block, home: Path, admin_port: int) -> Block:
    """The block with what is the same for all: the gateway, its Admin API, upstream servers.

    home: the checkout. admin_port: where the Admin API is to listen on loopback.
    """
    sections = {
        **block.sections,
        "http_config": _http_config(block, home),
        "config": _config(block, home, admin_port),
    }
    sections.setdefault("timeout", _TIMEOUT)
    if block.has("exec"):
        sections["request"] = f"GET {_EXEC}"
    if not any(name in sections for name in _LOGS):
        sections["no_error_log"] = "[error]"
    return dataclasses.replace(block, sections=sections)


def _http_config(block: Block, home: Path) -> str:
    servers = block.text("upstream_server_config") + _ANSWER
    tls = f"server {{ listen 1983 ssl; {_TLS} {servers} }}" if _certificate(home) else ""
    init = (
        block.text("init_by_lua_block")
        or f"""
        {block.text("extra_init_by_lua_start")}
        apisix = require("apisix")
        apisix.http_init()
        require("apisix.constants").apisix_lua_home = {conf.quote(str(home))}
        {block.text("extra_init_by_lua")}
"""
    )
    return f"""{block.text("http_config")}
    lua_shared_dict test 5m;
    init_by_lua_block {{ {init} }}
    init_worker_by_lua_block {{
        require("apisix").http_init_worker()
        {block.text("extra_init_worker_by_lua")}
    }}
    exit_worker_by_lua_block {{ require("apisix").http_exit_worker() }}
    server {{
        listen 1980;
        listen 1981;
        listen 1982;
        listen 5044;
        {servers}
    }}
    {tls}
"""


def _config(block: Block, home: Path, admin_port: int) -> str:
    return f"""{block.text("config")}
        {_exec(block) if block.has("exec") else ""}
        {f"listen 1994 ssl; {_TLS}" if _certificate(home) else ""}
        location /apisix/admin {{
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_pass http://127.0.0.1:{admin_port};
        }}
        location /v1/ {{
            content_by_lua_block {{ require("apisix.control.router").serve() }}
        }}
        location / {{ pygw_gateway; }}
"""


def _exec(block: Block) -> str:
    """A location that runs the shell commands of the section `exec` and answers what they print."""
    script = conf.quote(block.text("exec").rstrip("\n"))
    stdin = conf.quote(block.text("stdin").rstrip("\n")) if block.has("stdin") else "nil"
    seconds = float(block.text("timeout") or _TIMEOUT)
    size = block.text("max_size").strip() or "8096"
    return f"""location {_EXEC} {{
            content_by_lua_block {{
                local ok, out, err, reason, status = require("resty.shell").run({script}, {stdin},
                    {max(seconds - 1, 0.1) * 1000:g}, {size})
                if ok then
                    return ngx.print(out)
                end
                ngx.log(ngx.WARN, "failed to execute the script with status: ", status,
                    ", reason: ", reason, ", stdout: ", out, ", stderr: ", err)
                ngx.print("stdout: ", out)
                ngx.print("stderr: ", err)
            }}
        }}
"""


def _certificate(home: Path) -> bool:
    return (home / "t/certs/apisix.crt").is_file()


def files(block: Block, home: Path) -> Iterator[tuple[str, str]]:
    """What goes into the directory conf/ of the block: names and texts."""
    yield "config.yaml", _config_yaml(block)
    for section, name in _FILES.items():
        if block.has(section):
            yield name, block.text(section)
    if _certificate(home):
        for path in (home / "t/certs").iterdir():
            if path.suffix in (".crt", ".key", ".pem"):
                yield f"cert/{path.name}", path.read_text("latin-1")


def _config_yaml(block: Block) -> str:
    text = block.text("yaml_config")
    if not text:
        kind = next((kind for kind in ("yaml", "json") if block.has(f"apisix_{kind}")), "")
        text = f"{_STANDALONE}{kind}\n" if kind else _DEFAULT
    if not re.search(r"^deployment:", text, re.MULTILINE):
        text = _DEPLOYMENT + text
    extra = block.text("extra_yaml_config")
    if text.endswith(_DEFAULT) and re.search(r"^apisix:", extra, re.MULTILINE):
        text = text.removesuffix(_DEFAULT)  # of two, the last one counted
    return text + extra


def state(servroot: Path) -> Path:
    """The directory of what one block of a file leaves for the next."""
    return servroot.with_name("servroot.state")


def job(spec: Spec, home: Path, servroot: Path, admin_port: int) -> dict[str, Any]:
    """What the worker's process wants to know."""
    rocks = home / "deps"
    ends = ("?.lua", "?/init.lua")
    lua = [f"{home}/t/{end}" for end in ends]
    lua += [f"{rocks}/share/lua/5.1/{end}" for end in ends]
    plugins = home / "apisix" / "plugins"
    named = re.sub(r"\d+$", "", spec.path.stem)
    kept = state(servroot)
    kept.mkdir(exist_ok=True)
    return {
        "config": str(servroot / "conf" / "config.yaml"),
        "store": str(kept / "store.db"),
        "dicts": str(kept) if spec.env.get("TEST_NGINX_USE_HUP") else None,
        "admin_port": admin_port,
        "lua_paths": [*lua, *(f"{STOCK}/{end}" for end in ends)],
        "lua_cpaths": [f"{rocks}/{lib}/lua/5.1/?.so" for lib in ("lib", "lib64")],
        "plugin_dirs": [str(home)] if plugins.is_dir() else [],
        "plugin": named if (plugins / f"{named}.lua").is_file() else None,
    }
