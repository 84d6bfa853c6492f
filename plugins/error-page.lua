-- Owns pages of the operator's own for errors that the gateway itself answers with: those of the metadata, the same for
-- every route. Configuration and behaviour are those of APISIX 3.18's plugin of this name, but that the pages without a
-- body of their own say pygw. Must never touch an upstream's response.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local ngx = ngx
local get_response_source = core.response.get_response_source
local set_header = core.response.set_header

local NAME = "error-page"
local LOWEST = 404 -- status that may have a page

local PAGE = [[<html>
<head><title>TITLE</title></head>
<body>
<center><h1>TITLE</h1></center>
<hr><center>pygw</center>
</body>
</html>]]

local function page_schema(title)
    return {
        type = "object",
        properties = {
            body = { type = "string", default = (PAGE:gsub("TITLE", title)) },
            content_type = { type = "string", default = "text/html" },
        },
    }
end

local metadata_schema = {
    type = "object",
    properties = {
        enable = { type = "boolean", default = false },
        error_404 = page_schema("404 Not Found"),
        error_500 = page_schema("500 Internal Server Error"),
        error_502 = page_schema("502 Bad Gateway"),
        error_503 = page_schema("503 Service Unavailable"),
    },
}

local schema = {}

local _M = { version = 0.1, priority = 450, name = NAME, schema = schema, metadata_schema = metadata_schema }

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    return core.schema.check(schema, conf)
end

-- The page in the place of the response, or nil.
local function find_page(ctx)
    local status = ngx.status
    if status < LOWEST or get_response_source(ctx) == "upstream" then
        return nil
    end
    local metadata = plugin.plugin_metadata(NAME)
    if not metadata then
        core.log.info("failed to read metadata for ", NAME)
        return nil
    elseif not metadata.value.enable then
        return nil
    end
    local page = metadata.value["error_" .. status]
    if not page or not page.body or page.body == "" then
        core.log.debug("error page for error_", status, " not defined, default will be used.")
        return nil
    end
    return page
end

function _M.header_filter(_, ctx)
    local page = find_page(ctx)
    if page then
        set_header("content-type", page.content_type, "content-length", #page.body)
        ctx.plugin_error_page = page
    end
end

function _M.body_filter(_, ctx)
    local page = ctx.plugin_error_page
    if page then
        ngx.arg[1] = page.body
        ngx.arg[2] = true
    end
end

return _M
