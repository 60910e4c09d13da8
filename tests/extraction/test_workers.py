import multiprocessing
import tempfile

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.workers import Workers
from extraction.work_examples import Odd, Stillborn, Unready


def test_items_are_processed_once_and_a_crash_loses_one_item(tmp_path):
    good = [f"item{i}" for i in range(8)]
    work = Odd(tmp_path)
    with Workers(work, 2) as workers:
        results = list(workers.results([*good[:2], "die", *good[2:4], "bad", "raise", *good[4:]]))
    assert len(results) == len(dict(results)) == 11
    reasons = {item: reason for item, reason in results if reason is not None}
    assert reasons == {
        "bad": "does not like it",
        "die": "the process that read it ended: killed by SIGKILL",
        "raise": "the process that read it ended: exit code 1",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*good, "bad"])
    assert "ZeroDivisionError" in work.log.read_text()
    assert multiprocessing.active_children() == []


def test_errors_of_all_work_are_raised(tmp_path):
    with Workers(Odd(tmp_path), 1) as workers, pytest.raises(AvnasError, match="the disk is full"):
        list(workers.results(["item", "stop", "never"]))
    assert [path.name for path in tmp_path.iterdir()] == ["item"]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("work", "message"), [(Unready, "no such checkpoint"), (Stillborn, "end one after the other: exit code 3")]
)
def test_processes_that_fail_to_start(tmp_path, work, message):
    with Workers(work(tmp_path), 1) as workers, pytest.raises(AvnasError, match=message):
        list(workers.results(["item"]))


def test_repeated_crashes_stop_the_pool(tmp_path):
    with (
        Workers(Odd(tmp_path), 2) as workers,
        pytest.raises(AvnasError, match="one after the other: killed by SIGKILL"),
    ):
        list(workers.results(["die"] * 100))


def test_leaving_the_context_ends_the_processes(tmp_path):
    with Workers(Odd(tmp_path), 1) as workers:
        results = workers.results(["item", "sleep"])
        assert next(results) == ("item", None)
    assert multiprocessing.active_children() == []


def test_too_long_temporary_folder_is_an_error(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Workers(Odd(tmp_path), 1) as workers, pytest.raises(AvnasError, match=r"TMPDIR=.*name another folder"):
        list(workers.results(["item"]))
