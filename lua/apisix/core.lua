-- Owns the table of contents of the toolkit that plugins use. Mirrors apisix.core.
local config_provider = require "apisix.core.config"
local utils = require "apisix.core.utils"

return {
    version = require "apisix.core.version",
    log = require "apisix.core.log",
    config = config_provider,
    config_util = require "apisix.core.config_util",
    sleep = utils.sleep,
    json = require "apisix.core.json",
    table = require "apisix.core.table",
    request = require "apisix.core.request",
    response = require "apisix.core.response",
    lrucache = require "apisix.core.lrucache",
    schema = require "apisix.core.schema",
    string = require "apisix.core.string",
    ctx = require "apisix.core.ctx",
    timer = require "apisix.core.timer",
    id = require "apisix.core.id",
    ip = require "apisix.core.ip",
    io = require "apisix.core.io",
    utils = utils,
    dns_client = require "apisix.core.dns.client",
    etcd = require "apisix.core.etcd",
    tablepool = require "tablepool",
    resolver = require "apisix.core.resolver",
    os = require "apisix.core.os",
    pubsub = require "apisix.core.pubsub",
    math = require "apisix.core.math",
    event = require "apisix.core.event",
    env = require "apisix.core.env",
    data_encryption = require "apisix.core.data_encryption",
}
