"""Owns what resources mean to one another: what they refer to must exist, what is in use stays.

The store is read as it is at that moment. Mirrors the checks of apisix.admin, messages included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pygw.admin.address import Address, id_text
from pygw.admin.records import Record, Records
from pygw.admin.refusal import Refusal
from pygw.admin.resources import CONSUMERS, CREDENTIALS, GLOBAL_RULES, STREAM_ROUTES, UPSTREAMS

Document = dict[str, Any]
Uses = Callable[[Document, str], bool]

# The attribute by which each authentication plugin finds its consumer: two consumers with the same
# one could not be told apart.
_UNIQUE = {
    "key-auth": "key",
    "basic-auth": "username",
    "jwt-auth": "key",
    "hmac-auth": "key_id",
    "ldap-auth": "user_dn",
    "ldap-auth-advanced": "user_dn",
}
_SECRET_MARKS = ("$secret://", "$env://", "$ENV://")


def check_written(records: Records, address: Address, document: Document) -> None:
    """Refuse (400) a document that others in the store contradict."""
    for reference in address.resource.references:
        wanted = document.get(reference.field)
        if wanted is not None and not records.modified(f"{reference.directory}/{id_text(wanted)}"):
            raise Refusal(
                400,
                f"failed to fetch {reference.kind} info by {reference.kind} id"
                f" [{id_text(wanted)}], response code: 404",
            )
    _check_client_certificate(records, address, document)
    if address.resource is GLOBAL_RULES:
        _check_global_rule(records, address, document)
    elif address.resource is CONSUMERS:
        _check_duplicates(records, document, document["username"], None)
    elif address.resource is CREDENTIALS:
        _check_duplicates(records, document, address.owner, address.id)


def check_deleted(records: Records, address: Address) -> None:
    """Refuse (400) the deletion of what another resource uses."""
    assert address.id is not None
    how = "as superior_id" if address.resource is STREAM_ROUTES else "now"
    for subject, directory, label, uses in _USERS.get(address.resource.name, ()):
        for record in records.list(directory):
            if uses(record.value, address.id):
                raise Refusal(
                    400,
                    f"can not delete this {subject} {label} [{record.id}] is still using it {how}",
                )


def _check_client_certificate(records: Records, address: Address, document: Document) -> None:
    """An upstream may show a certificate of /ssls that is one for clients."""
    upstream = document if address.resource is UPSTREAMS else _table(document.get("upstream"))
    wanted = _table(upstream.get("tls")).get("client_cert_id")
    if wanted is None:
        return
    record = records.get(f"ssls/{id_text(wanted)}")
    if record is None or record.value.get("type") != "client":
        fault = "wrong ssl type" if record else "response code: 404"
        raise Refusal(400, f"failed to fetch ssl info by ssl id [{id_text(wanted)}], {fault}")


def _check_global_rule(records: Records, address: Address, document: Document) -> None:
    for record in records.list("global_rules"):
        if record.id != address.id:
            for name in document["plugins"]:
                if name in _plugins(record.value):
                    raise Refusal(
                        400,
                        f"plugin '{name}' already exists in global rule with id '{record.id}'",
                    )


def _check_duplicates(
    records: Records, document: Document, consumer: str | None, credential: str | None
) -> None:
    wanted = dict(_unique_values(document))
    if not wanted:
        return
    for owner, owner_credential, record in _credential_holders(records):
        itself = owner == consumer and credential in (None, owner_credential)
        if itself:
            continue
        for name, value in _unique_values(record.value):
            if wanted.get(name) == value:
                who = f"consumer: {owner}"
                if owner_credential:
                    who = f"credential: {owner_credential} of {who}"
                raise Refusal(400, f"duplicate {_UNIQUE[name]} of plugin {name} found with {who}")


def _credential_holders(records: Records) -> Iterator[tuple[str, str | None, Record]]:
    """Every consumer and credential: consumer's name, credential's id, record."""
    for record in records.list("consumers"):
        yield record.id, None, record
    for record in records.list("consumers", depth=3):
        owner, _, credential = record.id.split("/")
        yield owner, credential, record


def _unique_values(document: Document) -> Iterator[tuple[str, str]]:
    """The values that must be one consumer's alone; a reference to a secret is not known here."""
    for name in _UNIQUE.keys() & _plugins(document).keys():
        value = _conf(document, name).get(_UNIQUE[name])
        if isinstance(value, str) and not value.startswith(_SECRET_MARKS):
            yield name, value


def _plugins(document: Document) -> Document:
    """What stands in the store may be anything; so here and below."""
    return _table(document.get("plugins"))


def _conf(document: Document, plugin: str) -> Document:
    return _table(_plugins(document).get(plugin))


def _table(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _field(name: str) -> Uses:
    def uses(document: Document, item_id: str) -> bool:
        value = document.get(name)
        return value is not None and id_text(value) == item_id

    return uses


def _traffic_split(document: Document, item_id: str) -> bool:
    """Whether a traffic-split plugin sends requests to this upstream."""
    return any(
        _field("upstream_id")(_table(upstream), item_id)
        for rule in _list(_conf(document, "traffic-split").get("rules"))
        for upstream in _list(_table(rule).get("weighted_upstreams"))
    )


def _transcode(document: Document, item_id: str) -> bool:
    """Whether a grpc-transcode plugin reads this proto."""
    return _field("proto_id")(_conf(document, "grpc-transcode"), item_id)


def _superior(document: Document, item_id: str) -> bool:
    """Whether a stream route stands below this one."""
    return _field("superior_id")(_table(document.get("protocol")), item_id)


# Of each resource: what messages call it, then who may use it (directory, what messages call them)
# and how to tell.
_User = tuple[str, str, str, Uses]
_USERS: dict[str, list[_User]] = {
    "upstreams": [
        ("upstream, plugin in", "routes", "route", _traffic_split),
        ("upstream,", "routes", "route", _field("upstream_id")),
        ("upstream, plugin in", "services", "service", _traffic_split),
        ("upstream,", "services", "service", _field("upstream_id")),
        ("upstream, plugin in", "plugin_configs", "plugin_config", _traffic_split),
        ("upstream, plugin in", "consumers", "consumer", _traffic_split),
        ("upstream, plugin in", "consumer_groups", "consumer_group", _traffic_split),
        ("upstream, plugin in", "global_rules", "global_rules", _traffic_split),
    ],
    "services": [
        ("service directly,", "routes", "route", _field("service_id")),
        ("service directly,", "stream_routes", "stream_route", _field("service_id")),
    ],
    "plugin_configs": [("plugin config,", "routes", "route", _field("plugin_config_id"))],
    "consumer_groups": [("consumer group,", "consumers", "consumer", _field("group_id"))],
    "stream_routes": [("stream route directly,", "stream_routes", "stream route", _superior)],
    "protos": [
        ("proto,", "routes", "route", _transcode),
        ("proto,", "services", "service", _transcode),
    ],
}
