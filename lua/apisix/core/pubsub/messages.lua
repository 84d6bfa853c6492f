-- Owns the messages of the publish-and-subscribe protocol (see protobuf.lua for their form): facts of APISIX's
-- pubsub.proto. Part of apisix.core.pubsub.
local request = {
    { 1, "sequence", "int64" },
    { 31, "cmd_empty", {}, oneof = "req" },
    { 32, "cmd_ping", { { 1, "state", "bytes" } }, oneof = "req" },
    { 33, "cmd_kafka_fetch", {
        { 1, "topic", "string" }, { 2, "partition", "int32" }, { 3, "offset", "int64" },
    }, oneof = "req" },
    { 34, "cmd_kafka_list_offset", {
        { 1, "topic", "string" }, { 2, "partition", "int32" }, { 3, "timestamp", "int64" },
    }, oneof = "req" },
}

local kafka_message = {
    { 1, "offset", "int64" }, { 2, "timestamp", "int64" }, { 3, "key", "bytes" }, { 4, "value", "bytes" },
}

local response = {
    { 1, "sequence", "int64" },
    { 31, "error_resp", { { 1, "code", "int32" }, { 2, "message", "string" } }, oneof = "resp" },
    { 32, "pong_resp", { { 1, "state", "bytes" } }, oneof = "resp" },
    { 33, "kafka_fetch_resp", { { 1, "messages", kafka_message, repeated = true } }, oneof = "resp" },
    { 34, "kafka_list_offset_resp", { { 1, "offset", "int64" } }, oneof = "resp" },
}

return { request = request, response = response }
