"""Owns what the resources are: their names in URLs, store and messages, and what each allows.

Must never touch the store. Mirrors the tables of apisix.admin.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reference:
    """A field of a resource that holds the id of another one."""

    field: str
    directory: str
    kind: str  # "failed to fetch {kind} info by {kind} id […]"


@dataclass(frozen=True)
class Resource:
    """A kind of resource. `name` is its directory in the store and its segment in URLs.

    kind: as messages call it. schema: its name among the schemas, None when there is no one schema.
    """

    name: str
    kind: str
    schema: str | None
    unsupported: frozenset[str] = field(default=frozenset())
    has_id: bool = True  # False: the URL's name says it all, the document holds no id of its own
    stamped: bool = True  # create_time and update_time
    references: tuple[Reference, ...] = ()
    hidden: frozenset[str] = field(default=frozenset())  # fields that GET does not show
    owners: Resource | None = None  # whose items have these below them
    filters: tuple[str, ...] = ()  # fields that a list may be filtered by


_UPSTREAM = Reference("upstream_id", "upstreams", "upstream")
_SERVICE = Reference("service_id", "services", "service")
_PLUGIN_CONFIG = Reference("plugin_config_id", "plugin_configs", "plugin config")
_GROUP = Reference("group_id", "consumer_groups", "consumer group")

_NO_POST = frozenset({"POST"})
_NO_POST_NO_PATCH = frozenset({"POST", "PATCH"})

_BY_REFERENCE = ("service_id", "upstream_id")

ROUTES = Resource(
    "routes",
    "route",
    "route",
    references=(_UPSTREAM, _SERVICE, _PLUGIN_CONFIG),
    filters=_BY_REFERENCE,
)
SERVICES = Resource("services", "service", "service", references=(_UPSTREAM,))
UPSTREAMS = Resource("upstreams", "upstream", "upstream")
CONSUMERS = Resource(
    "consumers", "consumer", "consumer", _NO_POST_NO_PATCH, has_id=False, references=(_GROUP,)
)
CREDENTIALS = Resource(
    "credentials", "credential", "credential", _NO_POST_NO_PATCH, owners=CONSUMERS
)
DECORATIONS = Resource(
    "graphql_cost_decorations",
    "graphql cost decoration",
    "graphql_cost_decoration",
    owners=SERVICES,
)
CONSUMER_GROUPS = Resource("consumer_groups", "consumer group", "consumer_group", _NO_POST)
GLOBAL_RULES = Resource("global_rules", "global rule", "global_rule", _NO_POST)
PLUGIN_CONFIGS = Resource("plugin_configs", "plugin config", "plugin_config", _NO_POST)
PLUGIN_METADATA = Resource(
    "plugin_metadata", "plugin_metadata", None, _NO_POST_NO_PATCH, has_id=False, stamped=False
)
SECRETS = Resource("secrets", "secret", None, _NO_POST)
PROTOS = Resource("protos", "proto", "proto", frozenset({"PATCH"}))
STREAM_ROUTES = Resource(
    "stream_routes",
    "stream route",
    "stream_route",
    frozenset({"PATCH"}),
    references=(_UPSTREAM, _SERVICE),
    filters=_BY_REFERENCE,
)
SSLS = Resource("ssls", "ssl", "ssl", hidden=frozenset({"key", "keys"}))

RESOURCES = {
    resource.name: resource
    for resource in (
        ROUTES,
        SERVICES,
        UPSTREAMS,
        CONSUMERS,
        CREDENTIALS,
        DECORATIONS,
        CONSUMER_GROUPS,
        GLOBAL_RULES,
        PLUGIN_CONFIGS,
        PLUGIN_METADATA,
        SECRETS,
        PROTOS,
        STREAM_ROUTES,
        SSLS,
    )
}
