"""pygw: a gateway in Python that runs Apache-APISIX-style Lua plugins unchanged.

The floors, from the bottom: `pygw.hub` (epoll, timers), `pygw.vm` with `lua/server` and `lua/ngx`
(the ngx runtime), `lua/apisix` (the gateway), `plugins/` and the Python hooks (extensions).

Python plugins find here what they use of their worker: `shared`, `timer` and `metrics`.
"""

from pygw.extensions.services import metrics, shared, timer

__all__ = ["__version__", "metrics", "shared", "timer"]
__version__ = "0.1.0"
