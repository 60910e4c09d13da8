import pytest

from avhash_nas.data.layout import parse_layout, read_layout
from avhash_nas.errors import DataError


def test_published_names_without_dataset_yaml(make_set):
    root = make_set()
    layout = read_layout(root)
    assert layout.files == {"visual": root / "image.h5", "audio": root / "audio.h5"}
    assert layout.lists == {"train": root / "train.txt", "val": root / "val.txt", "test": root / "test.txt"}
    assert (layout.database, layout.line, layout.label_base, layout.classes, layout.frames) == ("train", *[None] * 4)


def test_dataset_yaml_overrides_defaults(make_set):
    described = {
        "files": {"visual": "clip.h5", "audio": "sub/ast.h5"},
        "lists": {"train": "lists/t.txt"},
        "line": "id,frames,label...",
        "label_base": 1,
        "classes": 7,
        "database": "test",
        "frames": 25,
    }
    root = make_set(described=described)
    layout = read_layout(root)
    assert layout.files["audio"] == root / "sub/ast.h5"
    assert layout.lists["train"] == root / "lists/t.txt"
    assert layout.lists["val"] == root / "val.txt"
    assert (layout.line, layout.label_base, layout.classes) == ("id,frames,label...", 1, 7)
    assert (layout.database, layout.frames, layout.class_names) == ("test", 25, None)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("color: blue", "unknown entry 'color'"),
        ("line: id;label", "line: 'id;label' is not one of"),
        ("label_base: 2", "label_base: 2 is not one of 0, 1"),
        ("label_base: true", "label_base: True is not one of 0, 1"),
        ("classes: 0", "classes: 0 is not a positive whole number"),
        ("classes: [cat, cat]", "names must be distinct"),
        ("database: pool", "database: 'pool' is not one of 'train', 'val', 'test'"),
        ("frames: 2.5", "frames: 2.5 is not a positive whole number"),
        ("files: image.h5", "files: expected a file name for each of visual, audio"),
        ("files: {video: image.h5}", "files: unknown entry 'video'"),
        ("- one", "holds list"),
        ("files: {", "is not YAML"),
    ],
)
def test_invalid_entry_is_one_problem_and_others_are_used(make_set, entry, message):
    root = make_set()
    (root / "dataset.yaml").write_text(entry)
    layout, problems = parse_layout(root)
    assert len(problems) == 1
    assert problems[0].startswith(f"{root / 'dataset.yaml'}: ")
    assert message in problems[0]
    assert "\n" not in problems[0]
    assert layout.files["visual"] == root / "image.h5"
    with pytest.raises(DataError):
        read_layout(root)


def test_missing_folder_is_one_error_line(tmp_path):
    with pytest.raises(DataError, match="nowhere: cannot be read: No such file") as caught:
        read_layout(tmp_path / "nowhere")
    assert len(caught.value.problems) == 1
