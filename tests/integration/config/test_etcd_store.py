"""What only etcd has: servers that die, fail-over, users, TLS, one connection."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from gevent.hub import get_hub
from support.etcd_server import EtcdServer, free_ports, running

from pygw.config.etcd import EtcdStore
from pygw.config.store import Store, StoreRefused, StoreUnavailable

MakeStore = Callable[..., EtcdStore]
WAIT = 20.0


def put_when_back(store: Store, key: bytes) -> int:
    """Write as soon as the server answers again."""
    with gevent.Timeout(WAIT):
        while True:
            try:
                return store.put(key, b"")
            except StoreUnavailable:
                gevent.sleep(0.02)


def connections_to(port: int) -> int:
    """Established TCP connections of this machine to a local port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_all_watches_and_calls_share_one_connection(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    store = etcd_store_for(etcd.url)
    watches = [store.open_watch(b"/%d/" % i, 0) for i in range(20)]
    store.put(b"/7/x", b"")
    assert watches[7].next(WAIT).events[0].key == b"/7/x"
    assert connections_to(int(etcd.url.rsplit(":", 1)[1])) == 1


def test_a_killed_server_closes_every_watch(etcd: EtcdServer, etcd_store_for: MakeStore) -> None:
    store = etcd_store_for(etcd.url)
    watches = [store.open_watch(b"/", 0) for _ in range(5)]
    etcd.kill()
    assert [watch.next(WAIT).kind for watch in watches] == ["closed"] * 5


def test_without_a_server_calls_fail_with_one_message(etcd_store_for: MakeStore) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    store = etcd_store_for(url)
    for call in (store.get, store.readdir, lambda key: store.open_watch(key, 0)):
        with pytest.raises(
            StoreUnavailable, match="has no healthy etcd endpoint available"
        ) as info:
            call(b"/")
        assert url in str(info.value)


def test_the_same_store_goes_on_after_the_server_was_killed_and_started_again(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    store = etcd_store_for(etcd.url)
    seen = store.put(b"/k", b"1")
    watch = store.open_watch(b"/", seen + 1)
    etcd.kill()
    assert watch.next(WAIT).kind == "closed"
    etcd.start()
    missed = put_when_back(store, b"/missed")
    again = store.open_watch(b"/", seen + 1)
    assert [e.mod_rev for e in again.next(WAIT).events] == [missed]
    live = store.put(b"/live", b"")
    assert [e.mod_rev for e in again.next(WAIT).events] == [live]


def test_history_compacted_while_away_is_told(etcd: EtcdServer, etcd_store_for: MakeStore) -> None:
    store = etcd_store_for(etcd.url)
    seen = store.put(b"/k", b"1")
    etcd.kill()
    etcd.start()
    for _ in range(5):
        last = put_when_back(store, b"/k")
    etcd.ctl("compact", str(last))
    batch = store.open_watch(b"/", seen + 1).next(WAIT)
    assert (batch.kind, batch.revision) == ("compacted", last)


def test_a_wiped_server_shows_by_its_lower_revision(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    store = etcd_store_for(etcd.url)
    for _ in range(5):
        seen = store.put(b"/k", b"")
    etcd.kill()
    etcd.wipe()
    etcd.start()
    now = put_when_back(store, b"/k")
    assert store.open_watch(b"/", seen + 1).revision == now < seen


def test_a_dead_endpoint_is_passed_over(etcd: EtcdServer, etcd_store_for: MakeStore) -> None:
    store = etcd_store_for(f"http://127.0.0.1:{free_ports(1)[0]}", etcd.url)
    revision = store.put(b"/k", b"")
    assert store.readdir(b"/k")[0] == revision
    assert store.open_watch(b"/", 0).revision == revision


def test_watches_move_to_another_endpoint_when_theirs_dies(
    etcd_store_for: MakeStore, tmp_path: Path
) -> None:
    with running(tmp_path / "a") as first, running(tmp_path / "b") as second:
        store = etcd_store_for(first.url, second.url)
        watch = store.open_watch(b"/", 0)
        first.kill()
        assert watch.next(WAIT).kind == "closed"
        with gevent.Timeout(WAIT):
            moved = store.open_watch(b"/", 0)
        second.ctl("put", "/k", "moved")
        assert moved.next(WAIT).events[0].value == b"moved"


def test_a_hanging_server_does_not_hold_up_name_resolution(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    """gRPC waits in the threads that resolve names too: calls must not take them all."""
    store = etcd_store_for(etcd.url, timeout=2)
    watches = [store.open_watch(b"/%d" % i, 0) for i in range(20)]
    etcd.stop()
    callers = [gevent.spawn(store.get, b"/") for _ in range(20)]
    gevent.sleep(0.05)
    with gevent.Timeout(1):
        assert get_hub().threadpool.apply(lambda: "resolved") == "resolved"
    etcd.resume()
    gevent.joinall(callers, timeout=WAIT)
    assert {watch.next(0.01).kind for watch in watches} <= {"timeout", "closed"}


def secure(server: EtcdServer) -> None:
    """Switch authentication on: root, and bob who may read /mine alone."""
    for command in (
        "user add root:rootpw",
        "user grant-role root root",
        "role add mine",
        "role grant-permission mine readwrite /mine/ --prefix",
        "user add bob:bobpw",
        "user grant-role bob mine",
        "auth enable",
    ):
        server.ctl(*command.split())


def test_a_user_reads_writes_and_watches_what_he_may(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    secure(etcd)
    store = etcd_store_for(etcd.url, user="bob", password="bobpw")
    watch = store.open_watch(b"/mine/", 0)
    store.put(b"/mine/k", b"1")
    assert watch.next(WAIT).events[0].key == b"/mine/k"


def test_what_a_user_may_not_is_refused_not_retried(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    secure(etcd)
    store = etcd_store_for(etcd.url, user="bob", password="bobpw")
    mine = store.open_watch(b"/mine/", 0)
    for call in (store.get, store.readdir, lambda key: store.open_watch(key, 0)):
        with pytest.raises(StoreRefused, match="(?i)permission ?denied"):
            call(b"/other/")
    store.put(b"/mine/k", b"")
    assert mine.next(WAIT).kind == "events"


def test_a_denial_on_an_old_stream_is_tried_once_more_with_a_new_login(
    etcd: EtcdServer, etcd_store_for: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd denies what a forgotten token asks, as if its user had no permission."""
    monkeypatch.setattr("pygw.config.etcd._TOKEN_DOUBT", 0.0)  # every stream counts as old
    secure(etcd)
    store = etcd_store_for(etcd.url, user="bob", password="bobpw")
    mine = store.open_watch(b"/mine/", 0)
    with pytest.raises(StoreRefused, match="(?i)permission ?denied"):
        store.open_watch(b"/other/", 0)
    assert mine.next(WAIT).kind == "closed"  # with the stream that was in doubt
    again = store.open_watch(b"/mine/", 0)
    store.put(b"/mine/k", b"")
    assert again.next(WAIT).kind == "events"


def test_a_wrong_password_is_refused(etcd: EtcdServer, etcd_store_for: MakeStore) -> None:
    secure(etcd)
    with pytest.raises(StoreRefused, match="authentication failed"):
        etcd_store_for(etcd.url, user="bob", password="wrong").get(b"/mine/")


def test_no_user_where_one_is_wanted_is_refused(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    secure(etcd)
    with pytest.raises(StoreRefused, match="user name is empty"):
        etcd_store_for(etcd.url).get(b"/mine/")


def test_a_user_where_none_is_wanted_is_let_in(etcd: EtcdServer, etcd_store_for: MakeStore) -> None:
    assert etcd_store_for(etcd.url, user="bob", password="x").put(b"/k", b"") > 0


def test_a_token_that_the_server_forgot_is_renewed(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    secure(etcd)
    store = etcd_store_for(etcd.url, user="bob", password="bobpw")
    before = store.put(b"/mine/k", b"1")
    etcd.kill()  # its tokens live in memory
    etcd.start()
    assert put_when_back(store, b"/mine/k") > before
    assert store.open_watch(b"/mine/", 0).revision > before


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for "etcd.test" and 127.0.0.1, and its key."""
    openssl = shutil.which("openssl") or pytest.skip("needs Debian's openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            openssl,
            *("req", "-x509", "-nodes", "-days", "1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", key, "-out", cert, "-subj", "/CN=etcd.test"),
            *("-addext", "subjectAltName=DNS:etcd.test,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls_with_a_client_certificate(
    tmp_path: Path, certificate: tuple[Path, Path], etcd_store_for: MakeStore
) -> None:
    cert, key = certificate
    with running(tmp_path / "etcd", tls=(cert, key)) as server:
        tls = {"cert": str(cert), "key": str(key)}
        store = etcd_store_for(server.url, trusted_ca=cert, sni="etcd.test", **tls)
        revision = store.put(b"/k", b"")
        assert store.open_watch(b"/", 0).revision == revision
        with pytest.raises(StoreUnavailable, match="no healthy"):
            etcd_store_for(server.url, trusted_ca=cert).get(b"/k")
        with pytest.raises(StoreUnavailable, match="(?i)certificate|handshake|TLS"):
            etcd_store_for(server.url, **tls).get(b"/k")


def test_tls_settings_that_cannot_work_are_refused_at_once(etcd_store_for: MakeStore) -> None:
    with pytest.raises(StoreRefused, match="tls.verify"):
        etcd_store_for("https://127.0.0.1:1", verify=False)
    with pytest.raises(StoreRefused, match="/no/such.pem: No such file"):
        etcd_store_for("https://127.0.0.1:1", cert="/no/such.pem", key="/no/such.pem")


def test_a_server_that_accepts_and_says_nothing_is_given_up(etcd_store_for: MakeStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        store = etcd_store_for(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout=0.2)
        with pytest.raises(StoreUnavailable):
            store.get(b"/")
        with pytest.raises(StoreUnavailable):
            store.open_watch(b"/", 0)


def test_watches_cancelled_or_closed_are_gone_from_the_server(
    etcd: EtcdServer, etcd_store_for: MakeStore
) -> None:
    store = etcd_store_for(etcd.url)
    watches = [store.open_watch(b"/", 0) for _ in range(5)]
    assert etcd.metric("etcd_debugging_mvcc_watcher_total") == 5
    watches[0].cancel()
    with gevent.Timeout(WAIT):
        while etcd.metric("etcd_debugging_mvcc_watcher_total") != 4:
            gevent.sleep(0.01)
    store.close()
    with gevent.Timeout(WAIT):
        while etcd.metric("etcd_debugging_mvcc_watcher_total") != 0:
            gevent.sleep(0.01)
