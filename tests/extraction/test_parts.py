import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import VideoFeatures
from avhash_nas.extraction.feature_files import Parts

FEATURES = VideoFeatures(
    np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
    np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32),
    1.25,
    ("short", "truncated"),
)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_part_round_trip(tmp_path, dtype):
    parts = Parts(tmp_path / "parts")
    parts.write("abc", FEATURES, dtype)
    read = parts.read("abc")
    assert (read.seconds, read.notes) == (1.25, ("short", "truncated"))
    for name in ("visual", "audio"):
        assert getattr(read, name).dtype == dtype
        np.testing.assert_array_equal(getattr(read, name), getattr(FEATURES, name).astype(dtype))
    assert parts.keys() == {"abc"}


def test_damaged_part_reads_as_none(tmp_path):
    parts = Parts(tmp_path)
    parts.write("abc", FEATURES, "float32")
    whole = parts.path("abc").read_bytes()
    for spoilt in (whole[:-30], whole[:100], b"", whole[:200] + b"\xff" + whole[201:]):
        parts.path("abc").write_bytes(spoilt)
        assert parts.read("abc") is None
    assert parts.read("gone") is None


def test_unfinished_part_is_ignored(tmp_path, monkeypatch):
    parts = Parts(tmp_path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(AvnasError, match="cannot be written: No space left"):
        parts.write("abc", FEATURES, "float32")
    assert parts.keys() == set()


def test_drop_and_clear_parts(tmp_path):
    parts = Parts(tmp_path / "parts")
    parts.write("abc", FEATURES, "float32")
    parts.write("xyz", FEATURES, "float32")
    parts.drop("abc")
    parts.drop("abc")
    assert parts.keys() == {"xyz"}
    parts.clear()
    parts.clear()
    assert list(tmp_path.iterdir()) == []
