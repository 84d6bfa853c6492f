"""A worker that follows apisix.yaml."""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from support.cycle_worker import CycleWorker, following_file

from pygw.config.standalone import StandaloneFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "conf" / "apisix.yaml"
    found.parent.mkdir()
    found.write_text("things: [{id: 1, n: 1}, {id: 2, n: 2}]\nsingle: [a]\n#END\n")
    return found


@pytest.fixture
def file(path: Path) -> Iterator[StandaloneFile]:
    made = StandaloneFile(path)
    yield made
    made.close()


@pytest.fixture
def worker(tmp_path: Path, file: StandaloneFile) -> Iterator[CycleWorker]:
    made = following_file(tmp_path, file).start()
    yield made
    file.close()
    made.stop()


def test_the_file_is_in_force_before_the_first_request(worker: CycleWorker) -> None:
    assert worker.state()["items"] == {"1": 1, "2": 2}
    assert worker("probe.single.values[1].value[1]") == "a"


def test_an_edit_is_applied_and_what_it_does_not_touch_stays(
    worker: CycleWorker, path: Path
) -> None:
    worker("probe.remember()")
    assert [worker.change(), worker.change()] == [("1", 1), ("2", 2)]
    path.write_text("things: [{id: 1, n: 1}, {id: 2, n: 3}]\nsingle: [a]\n#END\n")
    assert worker.change() == ("2", 3)
    assert worker("probe.same('1')") is True
    path.write_text("things: [{id: 2, n: 3}]\n#END\n")
    assert worker.change() == ("1", None)
    assert worker.state()["items"] == {"2": 3}


def test_a_broken_edit_changes_nothing(
    worker: CycleWorker, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("things: [\n#END\n")
    worker.until(lambda: bool(caplog.records))
    assert worker.state()["items"] == {"1": 1, "2": 2}
    path.write_text("things: [{id: 9, n: 9}]\n#END\n")
    worker.until(lambda: worker.state()["items"] == {"9": 9})


def test_the_worker_stops_at_once_although_it_waits_for_the_file(
    worker: CycleWorker, file: StandaloneFile
) -> None:
    worker.until(lambda: worker.worker.timers.running_count == 1)
    worker.worker.stop(False)
    gevent.spawn(file.close)  # as pygw.gateway does
    with gevent.Timeout(1.5):  # it would wait two seconds for timers that do not end
        worker.until(lambda: worker.worker.timers.running_count == 0)
