"""Owns the nginx.conf of a block: its sections in the frame that Test::Nginx puts around them.

The frame's lines stand where the original's stand, since blocks expect line numbers in messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pygw.testing.tfiles.spec import Block, Spec

_VARIABLE = re.compile(r"\$(TEST_NGINX_[A-Z0-9_]+)")
_ROOT = """        location / {
            root HTML;
            index index.html index.htm;
        }
"""


class MissingVariable(Exception):
    """A block names an environment variable that is not set."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text with its $TEST_NGINX_… replaced. Raises MissingVariable."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in env:
            raise MissingVariable(f"the environment has no {found[1]}")
        return env[found[1]]

    return _VARIABLE.sub(value, text)


def render(spec: Spec, block: Block, env: Mapping[str, str], port: int) -> str:
    """The text of nginx.conf for a block of a specification."""
    level = block.text("log_level") or spec.settings.get("log_level", "debug")
    name = block.text("server_name") or spec.settings.get("server_name", "localhost")
    servroot = env["TEST_NGINX_SERVROOT"]
    log = block.text("error_log_file") or f"{servroot}/logs/error.log"
    judged = block.has("access_log") or block.has("no_access_log")
    access_log = f"{servroot}/logs/access.log" if judged else "off"  # nobody reads it else
    extra = "".join(f"env {each!r};\n" for each in spec.settings.get("env", []))
    root = (
        "" if spec.settings.get("no_root_location") else _ROOT.replace("HTML", f"{servroot}/html")
    )
    sections = {
        key: expand(block.text(key), env)
        for key in ("main_config", "http_config", "config", "post_main_config")
    }
    return f"""worker_processes  {spec.settings.get("workers", 1)};
daemon on;
master_process {"on" if spec.settings.get("master_process_enabled") else "off"};
error_log {log} {level.strip()};
pid       {servroot}/logs/nginx.pid;
env MOCKEAGAIN_VERBOSE;
env MOCKEAGAIN;
env MOCKEAGAIN_WRITE_TIMEOUT_PATTERN;
env LD_PRELOAD;
env LD_LIBRARY_PATH;
env DYLD_INSERT_LIBRARIES;
env DYLD_FORCE_FLAT_NAMESPACE;
{extra}#env LUA_PATH;
#env LUA_CPATH;

{sections["main_config"]}

http {{
    access_log {access_log};
    #access_log off;

    default_type text/plain;
    keepalive_timeout  68000ms;

{sections["http_config"]}
    server {{
        listen          {port};
        #placeholder
        server_name     '{name.strip()}';

        client_max_body_size 30M;
        #client_body_buffer_size 4k;

        # Begin preamble config...
{spec.settings.get("config_preamble", "")}
        # End preamble config...

        # Begin test case config...
{sections["config"]}
        # End test case config.

{root}    }}
}}

{sections["post_main_config"]}
events {{
    accept_mutex off;
    worker_connections  {spec.settings.get("worker_connections", 64)};
}}
"""
