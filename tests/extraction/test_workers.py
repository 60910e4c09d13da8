import multiprocessing
import tempfile

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.workers import Workers
from extraction.works import Odd, Stillborn, Unready


def test_each_item_is_done_once_and_a_death_costs_its_own_only(tmp_path, capfd):
    good = [f"item{i}" for i in range(8)]
    with Workers(Odd(tmp_path), 2) as workers:
        results = list(workers.results([*good[:2], "die", *good[2:4], "bad", "raise", *good[4:]]))
    assert len(results) == len(dict(results)) == 11
    reasons = {item: reason for item, reason in results if reason is not None}
    assert reasons == {
        "bad": "does not like it",
        "die": "the process that read it ended: killed by SIGKILL",
        "raise": "the process that read it ended: exit code 1",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*good, "bad"])
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert multiprocessing.active_children() == []


def test_what_stops_all_work_is_raised(tmp_path):
    with Workers(Odd(tmp_path), 1) as workers, pytest.raises(AvnasError, match="the disk is full"):
        list(workers.results(["item", "stop", "never"]))
    assert [path.name for path in tmp_path.iterdir()] == ["item"]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("work", "message"), [(Unready, "no such checkpoint"), (Stillborn, "end one after the other: exit code 3")]
)
def test_processes_that_cannot_begin(tmp_path, work, message):
    with Workers(work(tmp_path), 1) as workers, pytest.raises(AvnasError, match=message):
        list(workers.results(["item"]))


def test_processes_that_die_whatever_they_do_are_not_started_for_ever(tmp_path):
    with (
        Workers(Odd(tmp_path), 2) as workers,
        pytest.raises(AvnasError, match="one after the other: killed by SIGKILL"),
    ):
        list(workers.results(["die"] * 100))


def test_left_early_the_processes_end_at_once(tmp_path):
    with Workers(Odd(tmp_path), 1) as workers:
        results = workers.results(["item", "sleep"])
        assert next(results) == ("item", None)
    assert multiprocessing.active_children() == []


def test_a_folder_for_temporary_files_that_is_too_long_is_told(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Workers(Odd(tmp_path), 1) as workers, pytest.raises(AvnasError, match=r"TMPDIR=.*name another folder"):
        list(workers.results(["item"]))
