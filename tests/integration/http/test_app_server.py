"""The fixture itself: a worker process that a test speaks to."""

APP = 'return { content = function() ngx.say("hello ", ngx.now()) end }'


def test_serves_an_application(app_server):
    server = app_server(APP)
    response = server.ask("/")
    assert response.status == 200
    assert response.text.startswith("hello ")


def test_virtual_time_stands_still_until_it_is_advanced(app_server):
    server = app_server(APP, virtual=True)
    first, second = server.ask().text, server.ask().text
    assert first == second
    server.advance(100)
    assert float(server.ask().text.split()[1]) - float(first.split()[1]) == 100


def test_takes_settings_and_keeps_line_numbers(app_server):
    server = app_server(
        'return {\n content = function() error("at line 2") end }', server_tokens="x/1"
    )
    response = server.ask()
    assert response.status == 500
    assert response.header("Server") == "x/1"
    assert "app.lua:2: at line 2" in server.log.wait_for("at line 2")


def test_leaves_no_process(app_server):
    server = app_server(APP)
    server.ask()
    server.stop()
    assert server.wait() == 0
