"""Operators by name: this package's and a third party's."""

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.operators import Add, MambaBlock, SelfFusionSSM, SelfSSM, Skip, find_operator, operator_names

PLUGIN = """
from avhash_nas.operators import Operator

class Mine(Operator):
    name = "mine"
    kinds = "MU"

class Nameless(Operator):
    kinds = "M"

class Other:
    pass
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "operator_plugin.py").write_text(PLUGIN)
    (tmp_path / "broken_operator_plugin.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)


def test_one_name_for_operators_of_different_kinds():
    assert find_operator("M", "self_ssm") is SelfSSM
    assert find_operator("T", "self_ssm") is MambaBlock
    assert find_operator("S", "self_ssm") is SelfFusionSSM


def test_one_operator_for_several_kinds():
    assert find_operator("M", "skip") is find_operator("U", "skip") is Skip
    assert find_operator("D", "add") is find_operator("F", "add") is Add


def test_unknown_name_suggests_close_matches():
    with pytest.raises(
        AvnasError, match=r"'conv_3' for cells of kind M: did you mean 'conv3'\? Known: channel_time_gate, conv3,"
    ):
        find_operator("M", "conv_3")


def test_operator_of_another_kind_is_not_found():
    with pytest.raises(
        AvnasError, match="unknown operator 'hadamard' for cells of kind F: Known: add, gated_attention"
    ):
        find_operator("F", "hadamard")


@pytest.mark.parametrize("kind", ["X", "", "MU"])
def test_unknown_kind(kind):
    with pytest.raises(AvnasError, match="use one of M, U, D, I, F, T, S"):
        find_operator(kind, "skip")
    with pytest.raises(AvnasError, match="unknown cell kind"):
        operator_names(kind)


@pytest.mark.usefixtures("plugin")
class TestThirdParty:
    def test_third_party_operator_by_path(self):
        assert find_operator("U", "operator_plugin.Mine").__name__ == "Mine"

    def test_own_operator_by_path(self):
        assert find_operator("M", "avhash_nas.operators.SelfSSM") is SelfSSM

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("operator_plugin.Other", "has no class 'Other' derived from"),
            ("operator_plugin.Absent", "has no class 'Absent' derived from"),
            ("operator_plugin.Nameless", "needs a string attribute `name`"),
            ("no_such_plugin.Mine", "cannot import 'no_such_plugin'"),
            ("broken_operator_plugin.Mine", "a_package_that_is_not_there"),
            (".Mine", "not of the form package.module.Class"),
            ("operator_plugin.", "not of the form package.module.Class"),
        ],
    )
    def test_unusable_paths_are_rejected(self, path, message):
        with pytest.raises(AvnasError, match=message):
            find_operator("M", path)

    def test_wrong_kind_is_rejected(self):
        with pytest.raises(AvnasError, match=r"operator_plugin\.Mine fills cells of kind M, U, not T"):
            find_operator("T", "operator_plugin.Mine")
