"""Architectures as values."""

import copy
import json
import pickle

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.space import Architecture

CHOICES = {"T": "self_ssm", "audio.M1": "ffn", "visual.U1": "silu", "F": "add", "visual.M1": "conv3"}


def test_order_of_cells_does_not_matter():
    one = Architecture(CHOICES)
    other = Architecture(dict(reversed(CHOICES.items())))
    assert one == other
    assert hash(one) == hash(other)
    assert list(one) == list(other) == ["visual.M1", "visual.U1", "audio.M1", "F", "T"]
    assert len({one, other}) == 1


def test_architectures_differ_by_cells_and_choices():
    architecture = Architecture(CHOICES)
    assert architecture != Architecture({**CHOICES, "F": "gated_attention"})
    assert architecture != Architecture({key: value for key, value in CHOICES.items() if key != "F"})


def test_repr_is_in_reading_order():
    expected = "Architecture(visual: M1=conv3 U1=silu | audio: M1=ffn | F=add T=self_ssm)"
    assert repr(Architecture(CHOICES)) == expected


def test_architecture_is_immutable():
    architecture = Architecture(CHOICES)
    with pytest.raises(TypeError, match="does not support item assignment"):
        architecture["F"] = "gated_attention"
    with pytest.raises(TypeError, match="does not support item deletion"):
        del architecture["F"]
    with pytest.raises(AttributeError):
        architecture.note = "mine"
    source = dict(CHOICES)
    taken = Architecture(source)
    source["F"] = "gated_attention"
    assert taken["F"] == "add"


def test_dict_and_json_round_trip(tmp_path):
    architecture = Architecture(CHOICES)
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(architecture.to_dict()))
    assert Architecture.load(path) == architecture
    assert pickle.loads(pickle.dumps(architecture)) == architecture
    assert copy.deepcopy(architecture) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cells": {"F": ["add"]}}', r"cell F needs the name of one candidate, not \['add'\]"),
        ('{"cells": ["add"]}', 'expected {"cells": {"visual.M1": "candidate", ...}}'),
        ("{}", 'expected {"cells"'),
        ("[1]", "expected a JSON object, found list"),
        ('{"cells":', "not valid JSON"),
    ],
)
def test_errors_name_the_file(tmp_path, text, message):
    path = tmp_path / "found.json"
    path.write_text(text)
    with pytest.raises(AvnasError, match=rf"found\.json: .*{message}"):
        Architecture.load(path)


def test_missing_and_binary_files_are_reported(tmp_path):
    with pytest.raises(AvnasError, match=r"absent\.json: cannot be read: No such file"):
        Architecture.load(tmp_path / "absent.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AvnasError, match=r"bytes\.json: not valid JSON"):
        Architecture.load(tmp_path / "bytes.json")
