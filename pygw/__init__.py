"""pygw: a gateway in Python that runs Apache-APISIX-style Lua plugins unchanged.

The floors, from the bottom: `pygw.hub` (epoll, timers), `pygw.vm` with `lua/server` and `lua/ngx`
(the ngx runtime), `lua/apisix` (the gateway), `plugins/` and the Python hooks (extensions).
"""

__version__ = "0.1.0"
