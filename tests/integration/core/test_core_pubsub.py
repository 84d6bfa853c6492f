"""core.pubsub over a real WebSocket; messages by Google's own protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from support.app_server import AppServer
from websockets.sync.client import ClientConnection, connect

APP = """
return { content = function()
    local pubsub = require("apisix.core.pubsub").new()
    if not pubsub then
        return ngx.exit(400)
    end
    pubsub:on("cmd_kafka_list_offset", function(params)
        if params.topic == "none" then
            return nil, "no such topic"
        end
        ngx.log(ngx.WARN, "partition ", params.partition, " ", type(params.timestamp))
        return { kafka_list_offset_resp = { offset = params.timestamp } }
    end)
    pubsub:on("cmd_kafka_fetch", function(params)
        local messages = {}
        for i = 1, params.partition do
            local value = ("x"):rep(i * 100)
            messages[i] = { offset = i, timestamp = -i, key = params.topic, value = value }
        end
        return { kafka_fetch_resp = { messages = messages } }
    end)
    pubsub:wait()
    ngx.log(ngx.WARN, "the conversation is over")
end }
"""

_INT32, _INT64 = "TYPE_INT32", "TYPE_INT64"
_MESSAGES: dict[str, list[tuple[int, str, str]]] = {
    "CmdEmpty": [],
    "CmdPing": [(1, "state", "TYPE_BYTES")],
    "CmdKafkaFetch": [(1, "topic", "TYPE_STRING"), (2, "partition", _INT32), (3, "offset", _INT64)],
    "CmdKafkaListOffset": [
        (1, "topic", "TYPE_STRING"),
        (2, "partition", _INT32),
        (3, "timestamp", _INT64),
    ],
    "ErrorResp": [(1, "code", _INT32), (2, "message", "TYPE_STRING")],
    "PongResp": [(1, "state", "TYPE_BYTES")],
    "KafkaMessage": [
        (1, "offset", _INT64),
        (2, "timestamp", _INT64),
        (3, "key", "TYPE_BYTES"),
        (4, "value", "TYPE_BYTES"),
    ],
    "KafkaFetchResp": [(1, "messages", "*KafkaMessage")],
    "KafkaListOffsetResp": [(1, "offset", _INT64)],
    "PubSubReq": [
        (1, "sequence", _INT64),
        (31, "cmd_empty", "CmdEmpty"),
        (32, "cmd_ping", "CmdPing"),
        (33, "cmd_kafka_fetch", "CmdKafkaFetch"),
        (34, "cmd_kafka_list_offset", "CmdKafkaListOffset"),
    ],
    "PubSubResp": [
        (1, "sequence", _INT64),
        (31, "error_resp", "ErrorResp"),
        (32, "pong_resp", "PongResp"),
        (33, "kafka_fetch_resp", "KafkaFetchResp"),
        (34, "kafka_list_offset_resp", "KafkaListOffsetResp"),
    ],
}


def _classes() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="pubsub.proto", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            field = message.field.add(number=number, name=field_name)
            field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            if kind.startswith("TYPE_"):
                field.type = getattr(field, kind)
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, kind.removeprefix("*")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, response = map(pool.FindMessageTypeByName, ("PubSubReq", "PubSubResp"))
    return message_factory.GetMessageClass(request), message_factory.GetMessageClass(response)


Request, Response = _classes()


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(APP)


@pytest.fixture
def client(server: AppServer) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{server.port}/", open_timeout=20, compression=None) as client:
        yield client


def ask(client: ClientConnection, **request: Any) -> Any:
    client.send(Request(**request).SerializeToString())
    return Response.FromString(client.recv(timeout=20))


def test_a_ping_comes_back(client: ClientConnection) -> None:
    answer = ask(client, sequence=7, cmd_ping={"state": b"\0any\xff"})
    assert answer == Response(sequence=7, pong_resp={"state": b"\0any\xff"})


@pytest.mark.parametrize(
    "number", [0, 1, -1, 2**31, -(2**31), 2**32 - 1, 2**32, -(2**31) - 1, 2**63 - 1, -(2**63)]
)
def test_numbers_of_every_size(client: ClientConnection, number: int) -> None:
    command = {"topic": "t", "partition": -3, "timestamp": number}
    answer = ask(client, sequence=number, cmd_kafka_list_offset=command)
    assert answer == Response(sequence=number, kafka_list_offset_resp={"offset": number})


def test_what_does_not_fit_into_32_bits_is_text(
    server: AppServer, client: ClientConnection
) -> None:
    ask(client, cmd_kafka_list_offset={"partition": -3, "timestamp": 2**40})
    server.log.wait_for("partition -3 string")


def test_repeated_messages(client: ClientConnection) -> None:
    answer = ask(client, cmd_kafka_fetch={"topic": "t", "partition": 3, "offset": 1})
    messages = answer.kafka_fetch_resp.messages
    assert [(m.offset, m.timestamp, m.key, len(m.value)) for m in messages] == [
        (i, -i, b"t", 100 * i) for i in (1, 2, 3)
    ]


def test_errors_of_a_command(server: AppServer, client: ClientConnection) -> None:
    answer = ask(client, sequence=1, cmd_kafka_list_offset={"topic": "none"})
    assert answer == Response(sequence=1, error_resp={"code": 0, "message": "no such topic"})
    answer = ask(client, sequence=2, cmd_empty={})
    assert answer == Response(sequence=2, error_resp={"code": 0, "message": "unknown command"})
    server.log.wait_for(
        "pubsub callback handler not registered for the command, command: cmd_empty"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 11,
        b"\x08",
        b"\x82\x02\x05ab",
        b"\x82\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b",
        b"\x0a\x00",
        b"\x80\x02\x00",
        b"\x09\x00",
    ],
)
def test_what_is_no_message_is_refused_and_the_next_one_answered(
    client: ClientConnection, data: bytes
) -> None:
    client.send(data)
    refused = Response.FromString(client.recv(timeout=20))
    assert refused == Response(error_resp={"message": "wrong command"})
    assert ask(client, cmd_ping={}) == Response(pong_resp={})


def test_what_is_unknown_or_no_command_is_passed_over(
    server: AppServer, client: ClientConnection
) -> None:
    client.send(b"")
    server.log.wait_for("pubsub server receives empty command")
    client.send("text")
    server.log.wait_for("pubsub server receive non-binary data, type: text, data: text")
    unknown = b"\x58\x01" + b"\x61" + b"\0" * 8 + b"\x6d" + b"\0" * 4 + b"\x72\x01x"
    client.send(unknown + Request(sequence=5, cmd_ping={}).SerializeToString())
    assert Response.FromString(client.recv(timeout=20)) == Response(sequence=5, pong_resp={})


def test_the_client_ends_it(server: AppServer, client: ClientConnection) -> None:
    client.close()
    server.log.wait_for("the conversation is over")


def test_a_request_that_asks_for_no_websocket(server: AppServer) -> None:
    with server.connect() as link:
        link.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert link.read_until(b"\r\n").startswith(b"HTTP/1.1 400 ")
