"""A Python plugin with a schema."""

from pygw.plugin import Plugin


class Hello(Plugin):
    name = "t-hello"
    priority = 50
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }

    consumer_schema = {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
    }
    metadata_schema = {"type": "object", "properties": {"size": {"type": "integer"}}}

    def rewrite(self, conf, ctx):
        ctx.request.headers["X-Stamp"] = f"hello {conf['name']}"
