"""Owns the loading of gRPC, for a process that lives under gevent. Nobody else imports it first.

Workers are started afresh, not forked, so gRPC's fork handlers have no use here; with them a
subprocess that gevent forks while a call is under way aborts before its exec.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # read when gRPC is loaded

import grpc  # noqa: E402
from etcd3 import etcdrpc  # noqa: E402
from grpc.experimental.gevent import init_gevent  # noqa: E402

__all__ = ["etcdrpc", "grpc", "init_gevent"]
