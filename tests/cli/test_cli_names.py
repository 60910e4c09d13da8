"""Bare names of classes, on the command line and in YAML."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import yaml
from jsonargparse import Namespace

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.cli import parser as names
from avhash_nas.cli.fit import CHOICES, decisive, parser
from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import changes
from training.tiny import avnas

THIRD_PARTY = """
from avhash_nas.strategies import AVNAS

class Patient(AVNAS):
    def __init__(self, k: int = 1, lr: float = 0.5) -> None:
        super().__init__(lr=lr)
        self.k = k
"""


def parse(*arguments: str) -> Namespace:
    return parser().parse(["--data.root=somewhere", *arguments])


def strategy_of(*arguments: str) -> tuple[str, dict[str, object]]:
    strategy = parse(*arguments).strategy
    return strategy.class_path, vars(strategy.init_args)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A strategy in a module that nobody has imported."""
    (tmp_path / "third_party_nas.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path)
    yield "third_party_nas.Patient"
    sys.modules.pop("third_party_nas", None)


@pytest.mark.parametrize("name", ["avnas", "AVNAS", "av-nas", "av_nas", "avhash_nas.strategies.AVNAS"])
def test_a_strategy_by_its_name(name: str) -> None:
    assert strategy_of(f"--strategy={name}")[0].endswith("AVNAS")
    assert strategy_of("--strategy", name)[0].endswith("AVNAS")


def test_options_of_a_strategy_may_come_before_it(third_party: str) -> None:
    path, arguments = strategy_of("--strategy.k=4", f"--strategy={third_party}")
    assert path == third_party
    assert arguments == {"k": 4, "lr": 0.5}


def test_a_third_party_strategy_by_its_entry_point(third_party: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("patient-nas", third_party.replace(".Patient", ":Patient"), "avhash_nas.strategies")
    broken = EntryPoint("broken", "no_such_package:Strategy", "avhash_nas.strategies")
    monkeypatch.setattr(names, "entry_points", lambda group: [good, broken])
    with pytest.warns(UserWarning, match=r"'broken' \(no_such_package:Strategy\) cannot be imported"):
        path, arguments = strategy_of("--strategy=patient_nas", "--strategy.k=7")
    assert path == third_party
    assert arguments["k"] == 7


@pytest.mark.parametrize(
    ("option", "name", "expected"),
    [
        ("network", "mlp", "avhash_nas.baselines.mlp.MeanPoolMLP"),
        ("network", "MeanPoolMLP", "avhash_nas.baselines.mlp.MeanPoolMLP"),
        ("network", "audio_visual", "avhash_nas.networks.audio_visual.AudioVisualNetwork"),
        ("objective", "info_nce", "avhash_nas.objectives.info_nce.InfoNCE"),
        ("data.sampling", "triplets", "avhash_nas.data.triplet.Triplets"),
    ],
)
def test_networks_objectives_and_samplings_go_by_name_too(
    option: str, name: str, expected: str, tmp_path: Path
) -> None:
    assert parse(f"--{option}={name}")[option].class_path.split(".")[-1] == expected.split(".")[-1]
    config = tmp_path / "c.yaml"
    first, _, rest = option.partition(".")
    config.write_text(yaml.safe_dump({first: {rest: name} if rest else name}))
    assert parse(f"--config={config}")[option].class_path == expected


@pytest.mark.parametrize(
    "strategy", ["avnas", {"class_path": "avnas", "init_args": {"lr": 0.25}}, {"class_path": "AVNAS"}]
)
def test_a_strategy_by_its_name_in_yaml(strategy: object, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"strategy": strategy}))
    path, arguments = strategy_of(f"--config={config}")
    assert path.endswith(".AVNAS")
    assert arguments["lr"] == (0.25 if "init_args" in strategy else 1e-3)


def test_options_given_beside_a_config_win(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"strategy": {"class_path": "avnas", "init_args": {"lr": 0.25}}, "bits": 32}))
    parsed = parse("--strategy.temperature=0.5", "--bits=16", f"--config={config}")
    assert parsed.bits == 16
    assert (parsed.strategy.init_args.lr, parsed.strategy.init_args.temperature) == (0.25, 0.5)


def test_of_several_files_the_later_wins_where_both_say_something(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("bits: 8\nnetwork: {class_path: audio_visual, init_args: {width: 24, heads: 3}}\n")
    two.write_text("bits: 16\nnetwork: {init_args: {width: 36}}\n")
    parsed = parse(f"--config={one}", f"--config={two}", "--config={search: {epochs: 7}}")
    assert (parsed.bits, parsed.search.epochs) == (16, 7)
    assert (parsed.network.init_args.width, parsed.network.init_args.heads) == (36, 3)
    assert parse(f"--config={two}", f"--config={one}").bits == 8


@pytest.mark.parametrize("beside", ["--strategy=darts", "--config={strategy: darts}", "--config={strategy: DARTS}"])
def test_another_strategy_than_the_files_starts_from_its_own_defaults(beside: str, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"strategy": {"class_path": "avnas", "init_args": {"lr": 0.25}}, "bits": 32}))
    assert strategy_of(f"--config={config}", beside) == strategy_of("--strategy=darts")
    assert parse(f"--config={config}", beside).bits == 32
    same = strategy_of(f"--config={config}", "--strategy=avnas")[1]
    assert same["lr"] == 0.25


@pytest.mark.parametrize(
    ("option", "name", "hint"),
    [
        ("strategy", "avnaz", "did you mean 'avnas'?"),
        ("network", "mpl", "did you mean 'mlp'?"),
        ("objective", "infonc", "did you mean 'InfoNCE'?"),
        ("data.sampling", "zzz", "Known: balanced, shuffled, triplet, tuples"),
    ],
)
def test_an_unknown_name_is_one_line_with_a_suggestion(
    option: str, name: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    first, _, rest = option.partition(".")
    config.write_text(yaml.safe_dump({first: {rest: name} if rest else name}))
    for given in (f"--{option}={name}", f"--config={config}"):
        assert avnas("fit", "--data.root=x", given) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"--{option}: there is no '{name}'" in error
        assert hint in error


def test_lightnings_own_strategy_is_another_option(tmp_path: Path) -> None:
    parsed = parse("--trainer.strategy=ddp", "--strategy=avnas", "--trainer.devices=2")
    assert parsed.trainer.strategy == "ddp"
    assert parsed.strategy.class_path.endswith("AVNAS")
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"strategy": "avnas", "trainer": {"strategy": "ddp"}}))
    parsed = parse(f"--config={config}")
    assert parsed.trainer.strategy == "ddp"
    assert parsed.strategy.class_path.endswith("AVNAS")


def test_printed_configuration_can_be_read_again(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--config", str(tiny_config), "--strategy.warmup=0.25", "--trainer.gradient_clip_val=1")
    assert avnas("fit", *given, "--print_config") == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    again, before = parser().parse(["--config", str(printed)]), parser().parse(list(given))
    assert {**again.as_dict(), "config": None} == {**before.as_dict(), "config": None}
    assert again.strategy.init_args.warmup == 0.25


@pytest.mark.parametrize("path", ["no_such_package.Strategy", "avhash_nas.strategies.Nothing", "avhash_nas.cli.parser"])
def test_a_class_path_that_leads_nowhere(path: str) -> None:
    with pytest.raises(AvnasError, match=path):
        names.resolve("--strategy", path, CHOICES["strategy"])


def test_a_class_of_another_kind_is_refused() -> None:
    with pytest.raises(AvnasError, match="is not a SearchStrategy"):
        names.resolve("--strategy", "avhash_nas.data.ClassBalanced", CHOICES["strategy"])


def test_every_choice_offers_its_classes_without_abstract_ones() -> None:
    for choice in CHOICES.values():
        offered = choice.classes()
        assert offered
        assert names.import_class(choice.base) not in offered.values()


def test_help_lists_every_name_of_a_choice(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    for choice in CHOICES.values():
        listed = choice.display_names()
        assert {names.plain(name) for name in listed} <= choice.classes().keys()
        assert len(listed) == len({*choice.classes().values()})
        if choice.default:
            assert f"one of {', '.join(listed)}, or package.module.Class" in words


@pytest.mark.parametrize(
    ("option", "same"),
    [
        *((option, True) for option in ("--data.workers=2", "--data.cache_dir=elsewhere", "--data.pin_memory=true")),
        *(
            (option, True)
            for option in ("--scoring.memory=1", "--trainer.devices=2", "--checkpointing", "--page=false")
        ),
        *((option, False) for option in ("--compile", "--trainer.precision=bf16-mixed", "--data.eval_batch_size=7")),
    ],
)
def test_only_options_that_cannot_change_the_result_may_differ_when_a_run_resumes(option: str, same: bool) -> None:
    made = parser()
    stored, given = (decisive(made.parse(["--data.root=x", *more]), made) for more in ([], [option]))
    assert (changes(stored, given) == "") == same


def test_two_classes_of_one_file_go_by_their_own_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    one = type("One", (names.import_class(CHOICES["strategy"].base),), {"route": None, "derive": None})
    two = type("Two", (names.import_class(CHOICES["strategy"].base),), {"route": None, "derive": None})
    one.__module__ = two.__module__ = "package.pair"
    package = SimpleNamespace(__all__=["One", "Two"], One=one, Two=two)
    monkeypatch.setitem(sys.modules, "pair_of_strategies", package)
    offered = names.Choice(CHOICES["strategy"].base, ("pair_of_strategies",)).classes()
    assert offered == {"one": one, "two": two}


def test_a_class_has_one_path_however_it_is_named(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("strategy: {class_path: avhash_nas.strategies.AVNAS}\n")
    ways = ((), ("--strategy=avnas",), ("--strategy=avhash_nas.strategies.avnas.AVNAS",), (f"--config={config}",))
    made = parser()
    assert len({str(decisive(made.parse(["--data.root=x", *way]), made)) for way in ways}) == 1


class Baseline(MeanPoolMLP):
    """A network that brings its own objective and sampling."""

    default_components: ClassVar = {"objective": "triplet_info_nce", "data.sampling": "avhash_nas.data.Triplets"}


BASELINE = f"{__name__}.Baseline"


def test_a_network_brings_its_objective_and_sampling(tmp_path: Path) -> None:
    parsed = parse(f"--network={BASELINE}", "--objective.negatives=2", "--data.sampling.anchors=5")
    assert parsed.objective.class_path.endswith(".TripletInfoNCE")
    assert parsed.objective.init_args.negatives == 2
    assert parsed.data.sampling.init_args.anchors == 5
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"network": {"class_path": BASELINE}, "data": {"eval_batch_size": 4}}))
    assert parse(f"--config={config}").data.sampling.class_path.endswith(".Triplets")


def test_what_is_named_wins_over_what_a_network_brings(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"network": BASELINE, "data": {"sampling": "class_balanced"}}))
    parsed = parse(f"--config={config}", "--objective=info_nce")
    assert parsed.objective.class_path.endswith(".InfoNCE")
    assert parsed.data.sampling.class_path.endswith(".ClassBalanced")
    assert parse("--network=mlp").objective.class_path.endswith(".InfoNCE")
