"""Runs of earlier versions: their files, options and class paths are found under the old names."""

import json
from pathlib import Path

import yaml

from avhash_nas.data import check_same_extraction
from avhash_nas.extraction import ColorGradients, Extraction, LogMel
from avhash_nas.legacy import OLD_CLASSES, OLD_FILES, OLD_OPTIONS, existing, renamed
from avhash_nas.networks import AudioVisualNetwork, HashNetwork
from avhash_nas.pipeline import RunFolder
from avhash_nas.space import load_space


def test_a_file_is_found_under_its_old_name_unless_the_new_one_exists(tmp_path: Path) -> None:
    for new, old in OLD_FILES.items():
        assert existing(tmp_path / new) == tmp_path / new
        (tmp_path / old).touch()
        assert existing(tmp_path / new) == tmp_path / old
        (tmp_path / new).touch()
        assert existing(tmp_path / new) == tmp_path / new
    assert existing(tmp_path / "other.csv") == tmp_path / "other.csv"


def test_only_names_are_replaced() -> None:
    old = {
        "data.sampling": [{"lazy": "lazy"}],
        "visual": {"class": "avhash_nas.extraction.colour_gradients.ColourGradients"},
    }
    new = {
        "data.sampling": [{"identity_init": "lazy"}],
        "visual": {"class": "avhash_nas.extraction.color_gradients.ColorGradients"},
    }
    assert renamed(old) == new
    assert renamed(new) == new


def test_options_of_an_old_run_are_those_of_the_same_command_today(tmp_path: Path) -> None:
    stored = {"strategy": {"class_path": "avhash_nas.strategies.avnas.AVNAS", "init_args": {"harden": 0.9}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(stored))
    today = {"strategy": {"class_path": "avhash_nas.strategies.avnas.AVNAS", "init_args": {"discretize_at": 0.9}}}
    folder = RunFolder(tmp_path)
    assert folder.read_options() == today
    folder.open(today, overwrite=False)  # goes on: the options are the same


def test_a_network_saved_by_an_old_version_loads_with_the_same_fingerprint(tmp_path: Path) -> None:
    network = AudioVisualNetwork(6, 4, bits=8, space=load_space("arch-1"), width=8, heads=2)
    network.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["arguments"]["lazy"] = config["arguments"].pop("identity_init")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert HashNetwork.from_pretrained(tmp_path).fingerprint() == network.fingerprint()


def test_an_old_record_of_an_extraction_makes_todays_extractor() -> None:
    extraction = Extraction(ColorGradients(), LogMel())
    record = extraction.to_dict()
    assert record["visual"]["class"] in OLD_CLASSES
    record["visual"]["class"] = OLD_CLASSES[record["visual"]["class"]]
    assert Extraction.from_dict(record).to_dict() == extraction.to_dict()
    check_same_extraction(record, extraction.to_dict(), "model", "features")


def test_every_old_option_has_another_name_today() -> None:
    assert set(OLD_OPTIONS).isdisjoint(OLD_OPTIONS.values())
