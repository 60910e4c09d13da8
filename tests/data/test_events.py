"""Event lists, weak labels and pseudo labels: what is read, and what is said about flaws."""

import numpy as np
import pytest
import yaml

from avhash_nas.data import ParsingData, check, read_layout, read_splits
from avhash_nas.data.events import open_events, parse_events
from avhash_nas.errors import DataError

CLASSES = ["Speech", "Dog", "Frying_(food)"]
HEAD = "filename\tonset\toffset\tevent_labels"
IDS = {"train": ["aaaaaaaaaaa", "-b_bbbbbbbb"], "val": ["ccccccccccc", "ggggggggggg"], "test": ["ddddddddddd"]}
WINDOW = "_30_40"
AUDIO = (f"-b_bbbbbbbb{WINDOW}\t0\t1\tDog", f"ccccccccccc{WINDOW}\t1\t3\tSpeech", f"ddddddddddd{WINDOW}\t0\t2\tDog")
VISUAL = (f"ccccccccccc{WINDOW}\t2\t4\tSpeech", f"ccccccccccc{WINDOW}\t0\t1\tDog")
TRAIN = (f"aaaaaaaaaaa{WINDOW}\tSpeech,Dog", f"-b_bbbbbbbb{WINDOW}\tDog")


@pytest.fixture
def make_events(make_set):
    """Writes a dataset of four time steps whose videos are named by the first eleven characters, as those of LLP."""

    def make(audio=AUDIO, visual=VISUAL, train=TRAIN, head=HEAD, **entry):
        lists = {split: tuple(f"{name},{label}" for label, name in enumerate(names)) for split, names in IDS.items()}
        events = {"classes": CLASSES, "audio": "a.csv", "visual": "v.csv", "weak": {"train": "t.csv"}, "key": 11}
        described = {"line": "id,label...", "label_base": 0, "classes": 2, "events": {**events, **entry}}
        root = make_set(lists, described)
        for name, lines in (("a.csv", (head, *audio)), ("v.csv", (HEAD, *visual))):
            (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (root / "t.csv").write_text("".join(f"{line}\n" for line in ("filename\tevent_labels", *train)))
        return root

    return make


def opened(root):
    layout = read_layout(root)
    return open_events(layout.events, read_splits(layout), 4)


def flaws_of(root):
    layout = read_layout(root)
    return parse_events(layout.events, read_splits(layout), 4)[1]


def test_tables_and_the_hidden_truth_of_training(make_events):
    events = opened(make_events())
    assert events.class_names == tuple(CLASSES)
    expected = np.zeros((5, 2, 4, 3), bool)
    expected[2, 0, 1:3, 0] = expected[4, 0, 0:2, 1] = True
    expected[2, 1, 2:4, 0] = expected[2, 1, 0, 1] = True
    assert (events.truth == expected).all()  # the dog of a training video is in the list of what is heard
    assert events.weak.tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_a_split_without_weak_labels_takes_the_union_of_its_events(make_events):
    root = make_events(audio=(*AUDIO, f"aaaaaaaaaaa{WINDOW}\t0\t1\tFrying_(food)"), weak={})
    events = opened(root)
    assert events.weak[:2].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert not events.truth[:2].any()


def test_decimal_times_are_rasterized_by_the_length_of_a_step(make_events):
    root = make_events(audio=(f"ccccccccccc{WINDOW}\t0.34\t0.91\tDog",), seconds=0.25)
    assert opened(root).truth[2, 0, :, 1].tolist() == [False, True, True, True]


FLAWS = {
    "x.csv:3: Dog from 2 to 2 is empty; the row is left out": f"ccccccccccc{WINDOW}\t2\t2\tDog",
    "x.csv:3: Dog from 3 to 1 is empty; the row is left out": f"ccccccccccc{WINDOW}\t3\t1\tDog",
    "x.csv:3: Speech of ccccccccccc doubles line 2: both count as one event": f"ccccccccccc{WINDOW}\t1\t3\tSpeech",
    "x.csv:3: Speech of ccccccccccc overlaps line 2: both count as one event": f"ccccccccccc{WINDOW}\t2\t4\tSpeech",
    "x.csv:3: Speech of ccccccccccc abuts line 2: both count as one event": f"ccccccccccc{WINDOW}\t3\t4\tSpeech",
    "x.csv:3: 'Baby_cry_in' matches no video; the row is left out": "Baby_cry_in\t3\t4\tSpeech",
    "x.csv:3: starts after the last of the 4 time steps": f"ccccccccccc{WINDOW}\t7\t9\tDog",
}


@pytest.mark.parametrize("message", FLAWS)
def test_flaws_of_the_published_lists_are_warnings_with_file_and_line(make_events, message):
    root = make_events(audio=(AUDIO[1], FLAWS[message]))
    report = flaws_of(root)
    assert report.problems == ()
    assert report.warnings == (message.replace("x.csv", str(root / "a.csv")),)


PROBLEMS = {
    "a.csv:3: unknown class 'Wolf'; the classes are in dataset.yaml, events: classes": "ccccccccccc\t1\t2\tWolf",
    "a.csv:3: 'one' to '2' are not two times in seconds from 0 on": f"ccccccccccc{WINDOW}\tone\t2\tDog",
    "a.csv:3: '-1' to '2' are not two times in seconds from 0 on": f"ccccccccccc{WINDOW}\t-1\t2\tDog",
    "a.csv:3: 'nan' to '2' are not two times in seconds from 0 on": f"ccccccccccc{WINDOW}\tnan\t2\tDog",
    "a.csv:3: expected filename, onset, offset, event_labels, separated by tabs, found 'ccc,1,2,Dog'": "ccc,1,2,Dog",
    "a.csv:3: expected filename, onset, offset, event_labels, separated by tabs, found 'ccc\\t1\\t2\\t'": "ccc\t1\t2\t",
}


@pytest.mark.parametrize("message", PROBLEMS)
def test_rows_that_cannot_be_understood_are_problems(make_events, message):
    root = make_events(audio=(AUDIO[1], PROBLEMS[message]))
    assert flaws_of(root).problems == (f"{root}/{message}",)
    assert f"{root}/{message}" in check(root).problems
    with pytest.raises(DataError, match=r"a\.csv:3"):
        opened(root)


WEAK_PROBLEMS = {
    "t.csv:3: unknown class 'Cow'; the classes are in dataset.yaml, events: classes": (
        TRAIN[0],
        "aaaaaaaaaaa\tDog,Cow",
    ),
    "t.csv:4: video aaaaaaaaaaa is listed twice, first in line 2": (*TRAIN, TRAIN[0]),
    "t.csv: video -b_bbbbbbbb has no weak label: add a line for it": TRAIN[:1],
}


@pytest.mark.parametrize("message", WEAK_PROBLEMS)
def test_weak_labels_that_cannot_be_used(make_events, message):
    root = make_events(train=WEAK_PROBLEMS[message])
    assert flaws_of(root).problems == (f"{root}/{message}",)


def test_weak_labels_of_other_splits_are_compared_with_the_events(make_events):
    root = make_events(weak={"train": "t.csv", "test": "w.csv"})
    (root / "w.csv").write_text("filename\tevent_labels\nddddddddddd\tSpeech\nccccccccccc\tDog\n")
    assert flaws_of(root).warnings == (
        f"{root}/w.csv:3: 'ccccccccccc' matches no video of this split; the row is left out",
        f"{root}/w.csv:2: the weak label of ddddddddddd lacks Dog and adds Speech, going by its events",
    )


def test_a_wrong_head_and_a_missing_list(make_events):
    root = make_events(head="filename,onset,offset,event_labels")
    head = "filename,onset,offset,event_labels"
    expected = f"expected the head filename onset offset event_labels, separated by tabs, found {head!r}"
    assert f"{root}/a.csv:1: {expected}" in flaws_of(root).problems
    (root / "v.csv").unlink()
    assert f"{root}/v.csv: cannot be read: No such file or directory" in check(root).problems


ENTRIES = {
    "events: unknown entry 'sound'; known are classes, audio, visual, weak, seconds, key, pseudo, texts": {
        "sound": "x"
    },
    "events: seconds: 0 is not a positive number": {"seconds": 0},
    "events: key: 1.5 is not a positive number": {"key": 1.5},
    "events: classes: names must be distinct and at least one": {"classes": ["Dog", "Dog"]},
    "events: weak: unknown entry 'trial'; known are train, val, test": {"weak": {"trial": "x"}},
    "events: texts: visual is missing beside audio": {"texts": {"audio": "x.npy"}},
    "events: visual: name the list of what is seen": {"visual": None},
    "events: pseudo: filtered: 'no' is not true or false": {"pseudo": {"audio": "a", "visual": "b", "filtered": "no"}},
}


@pytest.mark.parametrize("message", ENTRIES)
def test_entries_of_dataset_yaml(make_events, message):
    root = make_events()
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    described["events"].update(ENTRIES[message])
    (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(DataError) as error:
        read_layout(root)
    assert error.value.problems == (f"{root}/dataset.yaml: {message}",)


def test_other_classes_than_llp_by_a_file_and_llp_by_default(make_events):
    root = make_events(classes="classes.txt")
    (root / "classes.txt").write_text("Speech\nDog\nFrying_(food)\nWolf\n")
    assert opened(root).class_names == (*CLASSES, "Wolf")
    described = yaml.safe_load((root / "dataset.yaml").read_text())
    del described["events"]["classes"]
    (root / "dataset.yaml").write_text(yaml.safe_dump(described))
    assert len(opened(root).class_names) == 25


def pseudo_labels(root, shape=(4, 3), value=1, dtype=np.int64):
    for name in ("pa", "pv"):
        (root / name).mkdir()
        for ids in IDS.values():
            for video in ids:
                np.save(root / name / f"{video}.npy", np.full(shape, value, dtype))


PSEUDO = {"audio": "pa", "visual": "pv"}


@pytest.mark.parametrize("filtered", [True, False])
def test_filtered_pseudo_labels_of_other_splits_than_train_are_not_shown(make_events, tmp_path, filtered):
    root = make_events(pseudo={**PSEUDO, "filtered": filtered})
    pseudo_labels(root)
    data = ParsingData(root, cache_dir=tmp_path / "cache").prepare()
    batch = data.batch(np.arange(5))
    assert batch.events.pseudo.flatten(1).any(dim=1).tolist() == [
        *(True, True),
        *([not filtered] * 3),
    ]
    assert batch.events.oracle.all()


def test_bad_pseudo_labels_and_texts(make_events):
    root = make_events(pseudo=PSEUDO, texts={"audio": "ta.npy", "visual": "tv.npy"})
    pseudo_labels(root)
    np.save(root / "pa" / "ccccccccccc.npy", np.full((4, 3), 2))
    np.save(root / "pv" / "ddddddddddd.npy", np.ones((3, 3)))
    (root / "pv" / "aaaaaaaaaaa.npy").unlink()
    np.save(root / "ta.npy", np.ones((2, 5), np.float32))
    np.save(root / "tv.npy", np.ones((3, 5), np.float32))
    assert flaws_of(root).problems == (
        f"{root}/pa/ccccccccccc.npy: expected 0 and 1 of shape (4, 3), got int64 of shape (4, 3)",
        f"{root}/pv/aaaaaaaaaaa.npy: no such file",
        f"{root}/pv/ddddddddddd.npy: expected 0 and 1 of shape (4, 3), got float64 of shape (3, 3)",
        f"{root}/ta.npy: expected finite vectors of the 3 classes, (C, d), got float32 of shape (2, 5)",
    )


def test_data_module_gives_weak_labels_and_one_evaluation_loader(make_events, tmp_path):
    data = ParsingData(make_events(), cache_dir=tmp_path / "cache").prepare()
    assert (data.classes, data.class_names) == (3, tuple(CLASSES))
    assert data.labels.tolist() == opened(data.root).weak.tolist()
    [val] = data.val_dataloader()
    [batch] = list(val)
    assert batch.events.truth.shape == (2, 2, 4, 3)
    assert batch.events.pseudo is None
    assert batch.events.truth[0, 0, 1:3, 0].all()


def test_parsing_needs_events(make_set, tmp_path):
    with pytest.raises(DataError, match=r"dataset\.yaml: has no entry `events`"):
        ParsingData(make_set(), cache_dir=tmp_path / "cache").prepare()
