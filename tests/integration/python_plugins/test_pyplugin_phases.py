def test_one(start) -> None:
    gateway = start(
        """
        class T(Plugin):
            name, priority = "t", 10
            schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}}
            def access(self, conf, ctx):
                ctx.request.headers["x-n"] = str(conf["n"])
        """,
        {"a": {"t": {}}},
    )
    assert gateway.ask("/a").seen["x-n"] == "7"
