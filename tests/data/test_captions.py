"""Caption files and text vectors, and every kind of bad input."""

import json

import h5py
import numpy as np
import pytest
import yaml

from avhash_nas.data import Caption, CaptionSet, HashingData, check, check_same_encoder, read_captions, write_captions
from avhash_nas.data.captions import write_text
from avhash_nas.errors import AvnasError, DataError

CAPTIONS = [
    Caption("a", "a dog barks", "en"),
    Caption("j", "ζέβρα, ein Zebra", "el"),
    Caption("a", "ein Hund bellt", "de"),
    Caption("c", "without a language"),
]
ENCODER = {"class": "avhash_nas.extraction.CharacterNgrams", "arguments": {"width": 3}, "weights": ""}


@pytest.fixture
def captioned(make_set):
    root = make_set(described={"captions": "captions.jsonl", "files": {"text": "text.h5"}})
    write_captions(root / "captions.jsonl", CAPTIONS)
    write_text(root / "text.h5", CAPTIONS, np.arange(12, dtype=np.float32).reshape(4, 3), ENCODER)
    return root


def test_captions_come_back_with_rows_and_vectors(captioned, tmp_path):
    data = HashingData(captioned, cache_dir=tmp_path).prepare()
    assert data.captions.captions == tuple(CAPTIONS)
    assert [data.ids[row] for row in data.captions.rows] == ["a", "j", "a", "c"]
    assert data.text_dim == 3
    np.testing.assert_array_equal(data.captions.vectors[2], [6, 7, 8])
    assert data.captions.encoder == ENCODER
    row = data.ids.index("a")
    assert data.captions.of(np.array([row])).tolist() == [0, 2]
    assert data.captions.of(np.array([row]), "de").tolist() == [2]


def test_spans_list_the_captions_of_each_video():
    captions = CaptionSet(tuple(CAPTIONS), np.array([4, 0, 4, 1]))
    order, starts = captions.spans
    assert {row: order[starts[row] : starts[row + 1]].tolist() for row in (0, 1, 2, 4)} == {
        0: [1],
        1: [3],
        2: [],
        4: [0, 2],
    }


def test_check_reports_captions(captioned):
    report = check(captioned)
    assert not report.problems
    assert str(report.captions) == (
        "4 captions of 3 videos (en 1, el 1, de 1, unknown 1), 0 of them repeated; text vectors of width 3 by "
        "CharacterNgrams(width=3)"
    )


def bad_lines(*lines):
    return lambda root: (root / "captions.jsonl").write_text("".join(f"{line}\n" for line in lines))


def bad_vectors(root):
    with h5py.File(root / "text.h5", "a") as file:
        file["vectors"][1, 2] = np.inf


def not_hdf5(root):
    (root / "text.h5").write_bytes(b"no")


def without_vectors(root):
    with h5py.File(root / "text.h5", "a") as file:
        del file["vectors"]


GOOD = json.dumps(CAPTIONS[0]._asdict())
CASES = {
    "unknown videos": (
        bad_lines(GOOD, '{"video": "x", "text": "t"}', '{"video": "x", "text": "u"}', '{"video": "y", "text": "t"}'),
        "captions.jsonl: 3 captions are of 2 videos that are in no list, the first of 'x'",
    ),
    "empty": (
        bad_lines(GOOD, '{"video": "a", "text": "  "}', '{"video": "b"}'),
        r"captions.jsonl:2: the text is empty; write words or leave the line out \(and 1 more such lines\)",
    ),
    "no video": (bad_lines('{"text": "t"}'), "captions.jsonl:1: lacks the video"),
    "no JSON": (bad_lines(GOOD, "a dog"), "captions.jsonl:2: not a line such as"),
    "no strings": (bad_lines('{"video": 3, "text": "t"}'), "captions.jsonl:1: not a line such as"),
    "unknown entry": (bad_lines('{"video": "a", "caption": "t"}'), "captions.jsonl:1: unknown entry 'caption'"),
    "no captions": (bad_lines(), "captions.jsonl: holds no caption"),
    "no file": (lambda root: (root / "captions.jsonl").unlink(), "captions.jsonl: cannot be read: No such file"),
    "changed captions": (bad_lines(GOOD), "text.h5: is of other captions than those of .*captions.jsonl; run"),
    "infinite": (bad_vectors, "text.h5: 1 of 12 values are NaN or infinite, first at caption 2, dimension 2"),
    "not HDF5": (not_hdf5, "text.h5: not a whole HDF5 file"),
    "no vectors": (without_vectors, "text.h5: not a file of text vectors, or damaged"),
    "no text.h5": (lambda root: (root / "text.h5").unlink(), "text.h5: no such file"),
}


@pytest.mark.parametrize(("spoil", "message"), CASES.values(), ids=CASES)
def test_bad_input_is_one_line_before_training(captioned, spoil, message, tmp_path):
    spoil(captioned)
    data = HashingData(captioned, cache_dir=tmp_path).prepare()
    with pytest.raises(DataError, match=message) as error:
        data.captions  # noqa: B018
    assert "\n" not in str(error.value)
    assert check(captioned).problems == error.value.problems


def test_datasets_without_captions_say_what_to_do(make_set, tmp_path):
    data = HashingData(make_set(), cache_dir=tmp_path).prepare()
    assert data.captions is None
    with pytest.raises(DataError, match=r"has no captions; write captions.jsonl"):
        data.text_dim  # noqa: B018
    root = make_set(described={"captions": "captions.jsonl"}, name="silent")
    write_captions(root / "captions.jsonl", CAPTIONS)
    with pytest.raises(DataError, match="no text vectors; `avnas data text"):
        HashingData(root, cache_dir=tmp_path).prepare().text_dim  # noqa: B018


def test_captions_must_be_a_file_name(make_set):
    root = make_set(described={"captions": ["a"]})
    assert check(root).problems == (f"{root / 'dataset.yaml'}: captions: ['a'] is not a file name",)


def test_patches_join_the_frames(make_set, tmp_path):
    root = make_set(described={"files": {"patches": "patches.h5"}})
    with h5py.File(root / "image.h5") as images, h5py.File(root / "patches.h5", "w") as file:
        for name in images:
            file.create_group(name)["vectors"] = np.ones((4, 10), np.float16)
    data = HashingData(root, cache_dir=tmp_path).prepare()
    assert data.patches.dim == 10
    with h5py.File(root / "patches.h5", "w") as file:
        for name in data.ids:
            file.create_group(name)["vectors"] = np.ones((4, 7), np.float16)
    with pytest.raises(DataError, match=r"patches.h5: time steps have 7 values, not a multiple of the frames' width 5"):
        HashingData(root, cache_dir=tmp_path).prepare().patches  # noqa: B018


def test_another_encoder_is_refused():
    other = {**ENCODER, "arguments": {"width": 4}}
    check_same_encoder(ENCODER, ENCODER, "model", "text.h5")
    check_same_encoder(None, other, "model", "text.h5")
    message = r"text.h5: its vectors are by CharacterNgrams\(width=4\), but model was trained on vectors by Ch.*width=3"
    with pytest.raises(AvnasError, match=message):
        check_same_encoder(ENCODER, other, "model", "text.h5")
    weighted = {**ENCODER, "weights": "abc"}
    check_same_encoder(weighted, {**other, "weights": "abc"}, "model", "text.h5")  # another path to the same weights


def test_order_of_captions_is_kept(captioned):
    found = read_captions(captioned / "captions.jsonl", ["a", "c", "j"])
    assert found.rows.tolist() == [0, 2, 0, 1]
    assert yaml.safe_load((captioned / "dataset.yaml").read_text())["captions"] == "captions.jsonl"
