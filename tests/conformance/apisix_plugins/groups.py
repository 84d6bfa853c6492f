"""Owns which of APISIX 3.18's 120 plugins are in which group, by what they need of their host.

A: ngx, apisix.* and Lua libraries. B: sockets to somebody else's server besides. C: a C library, an
nginx module, or another runtime.
"""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GROUP_A = _names(
    """
    acl ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-rate-limiting api-breaker
    attach-consumer-label basic-auth batch-requests body-transformer consumer-restriction cors
    csrf data-mask degraphql echo error-page example-plugin exit-transformer fault-injection
    file-logger graphql-limit-count hmac-auth ip-restriction jwe-decrypt jwt-auth key-auth
    limit-conn limit-count limit-req mocking multi-auth oas-validator prometheus proxy-rewrite
    public-api redirect referer-restriction request-id request-validation response-rewrite
    server-info serverless-post-function serverless-pre-function traffic-label traffic-split
    ua-restriction uri-blocker workflow
    """
)

GROUP_B = _names(
    """
    ai-aliyun-content-moderation ai-aws-content-moderation ai-cache ai-lakera-guard ai-proxy
    ai-proxy-multi ai-rag ai-request-rewrite authz-casdoor authz-keycloak aws-lambda
    azure-functions cas-auth chaitin-waf clickhouse-logger datadog dingtalk-auth
    elasticsearch-logger feishu-auth forward-auth google-cloud-logging http-dubbo http-logger
    kafka-logger lago loggly loki-logger opa openfunction openid-connect opentelemetry openwhisk
    rocketmq-logger skywalking skywalking-logger sls-logger splunk-hec-logging syslog tcp-logger
    tencent-cloud-cls udp-logger wolf-rbac zipkin
    """
)

GROUP_C = _names(
    """
    ai authz-casbin brotli client-control dubbo-proxy error-log-logger ext-plugin-post-req
    ext-plugin-post-resp ext-plugin-pre-req gm graphql-proxy-cache grpc-transcode grpc-web gzip
    inspect kafka-proxy ldap-auth ldap-auth-advanced log-rotate mcp-bridge node-status
    ocsp-stapling proxy-buffering proxy-cache proxy-control proxy-mirror real-ip saml-auth
    """
)

GROUPS = {"A": GROUP_A, "B": GROUP_B, "C": GROUP_C}
