"""A CodeSet: its file, what it refuses, and parts of it."""

import json

import numpy as np
import pytest

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError


def made(**changes):
    rng = np.random.default_rng(0)
    parts = {
        "ids": np.array(["a", "ü b/ç", "c"]),
        "packed": rng.integers(0, 256, (3, 2), dtype=np.uint8),
        "bits": 12,
        "fingerprint": "0123456789abcdef",
        "values": rng.uniform(-1, 1, (3, 12)).astype(np.float16),
        "frames": rng.normal(size=(3, 4, 5)).astype(np.float16),
        "labels": np.eye(3, dtype=bool)[:, :2],
        "class_names": ("cat", "Hündin"),
        "extraction": {"visual": {"class": "x"}},
        "notes": {"near_zero": 1},
    }
    return CodeSet(**{**parts, **changes})


def assert_same(one, other):
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name))
            assert value.dtype == getattr(other, name).dtype
        else:
            assert value == getattr(other, name)


@pytest.mark.parametrize("left_out", [(), ("values",), ("values", "frames", "extraction")])
def test_save_and_load_round_trip(tmp_path, left_out):
    codes = made(**dict.fromkeys(left_out))
    codes.save(tmp_path / "codes.npz")
    assert_same(CodeSet.load(tmp_path / "codes.npz"), codes)
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]


def test_file_is_a_plain_npz(tmp_path):
    made().save(tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as file:
        assert json.loads(str(file["header"]))["bits"] == 12


def test_take_keeps_the_order_of_parts():
    part = made().take([2, 0])
    assert part.ids.tolist() == ["c", "a"]
    np.testing.assert_array_equal(part.packed, made().packed[[2, 0]])
    np.testing.assert_array_equal(part.values, made().values[[2, 0]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 20}, "packed has shape"),
        ({"values": np.zeros((3, 11), np.float16)}, "values has shape"),
        ({"labels": np.zeros((2, 2), bool)}, "labels has shape"),
        ({"ids": np.array(["a", "b", "a"])}, "video a comes twice"),
    ],
)
def test_mismatched_parts_are_rejected(changes, words):
    with pytest.raises(AvnasError, match=words):
        made(**changes)


def test_invalid_files_are_rejected(tmp_path):
    with pytest.raises(AvnasError, match="no such file"):
        CodeSet.load(tmp_path / "none.npz")
    made().save(tmp_path / "codes.npz")
    whole = (tmp_path / "codes.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("half", "text", "other"):
        with pytest.raises(AvnasError, match=f"{name}.npz: not a file of codes"):
            CodeSet.load(tmp_path / f"{name}.npz")
