"""Scores of many architectures against scoring one after the other, by a plain loop and by a validation."""

import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data import HashingData, write_synthetic
from avhash_nas.errors import AvnasError
from avhash_nas.networks import prune
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring, part_of
from avhash_nas.strategies import RandomSearch
from avhash_nas.training import HashingModule
from distributed.scoring import scores as scores_of_rank
from distributed.scoring import small_supernet, some
from reference.training_scoring import scores as plain_scores

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("scoring") / "data"
    write_synthetic(root, classes=4, train=9, val=4, test=1, visual_dim=8, audio_dim=6, frames=5, noise=0.3)
    return root, tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(folders):
    """36 videos in the database, 16 queries, in batches of at most 7."""
    return HashingData(folders[0], cache_dir=folders[1], eval_batch_size=7).prepare()


def scorer(supernet, data, scoring=None, **options):
    return ArchitectureScorer(supernet, data, scoring or Scoring(), CPU, **options)


@pytest.mark.parametrize(
    ("preset", "memory"), [("full", 2.0), ("full", 0.0), ("visual", 2.0), ("audio", 2.0), ("arch-1", 2.0)]
)
def test_scores_are_those_of_one_after_the_other(data, preset, memory):
    supernet = small_supernet(preset, balance=True)
    architectures = some(supernet.space, 10)
    found = scorer(supernet, data, Scoring(memory=memory)).scores(architectures)
    assert found == plain_scores(supernet, data, architectures)
    assert preset == "arch-1" or len({each["retrieved"] for each in found}) > 5


def test_scores_are_those_of_a_validation_and_of_the_pruned_network(data):
    supernet = small_supernet("full")
    architectures = some(supernet.space, 4)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    strategy = RandomSearch()
    strategy.setup_search(supernet.space, 0)
    routes = {str(n): supernet.space.indices(each) for n, each in enumerate(architectures)}
    strategy.evaluation_routes = lambda progress: routes
    module = HashingModule(supernet, strategy=strategy)
    trainer.validate(module, data, verbose=False)
    pruned = HashingModule(prune(supernet, architectures[2]))
    trainer.validate(pruned, data, verbose=False)
    found = scorer(supernet, data).scores(architectures)
    assert found == [module.scores[str(n)].to_dict()["map@100"] for n in range(4)]
    assert found[2] == pruned.scores[""].to_dict()["map@100"]


def test_a_score_does_not_depend_on_what_is_scored_with_it(data):
    supernet = small_supernet("full")
    first, second, third = some(supernet.space, 3)
    together = scorer(supernet, data).scores([third, first, second, first])
    assert together == [scorer(supernet, data).scores([each])[0] for each in (third, first, second, first)]
    assert scorer(supernet, data).scores([]) == []


def test_an_architecture_named_twice_is_encoded_once(data):
    supernet = small_supernet("full")
    hashed = []
    supernet.hash.register_forward_hook(lambda *_: hashed.append(None))
    first, second = some(supernet.space, 2)
    scorer(supernet, data).scores([first, second, first, first])
    batches = 3 + 6
    assert len(hashed) == 2 * batches


def test_the_weights_of_the_moment_score(data):
    supernet = small_supernet("full")
    architectures = some(supernet.space, 4)
    many = scorer(supernet, data)
    before = many.scores(architectures)
    with torch.no_grad():
        for parameter in supernet.hash.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    assert many.scores(architectures) == plain_scores(supernet, data, architectures) != before


def test_part_of_the_videos(data):
    supernet = small_supernet("full")
    architectures = some(supernet.space, 5)
    queries, database = (part_of(data.splits[split], data.labels, 10) for split in ("val", "train"))
    found = scorer(supernet, data, Scoring(queries=10, database=10)).scores(architectures)
    assert found == plain_scores(supernet, data, architectures, queries, database)
    found = scorer(supernet, data, Scoring(database=10)).scores(architectures)
    assert found == plain_scores(supernet, data, architectures, database=database)
    too_many = scorer(supernet, data, Scoring(queries=17, database=37)).scores(architectures)
    assert too_many == plain_scores(supernet, data, architectures)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 70), st.integers(0, 10))
def test_a_part_keeps_the_shares_of_the_classes(classes, count, start):
    labels = np.zeros((len(classes) + start, 5), bool)
    labels[start + np.arange(len(classes)), classes] = True
    rows = start + np.arange(len(classes))
    part = part_of(rows, labels, count)
    wanted = len(rows) if count == 0 else min(count, len(rows))
    assert len(part) == wanted
    assert set(part) <= set(rows)
    assert (np.diff(part) > 0).all()
    assert (np.abs(labels[part].sum(0) - labels[rows].sum(0) * wanted / len(rows)) < 1).all()


def test_nothing_but_the_scores_changes(data):
    supernet = small_supernet("full", balance=True, dropout=0.5)
    supernet.train()
    supernet.visual.M1.eval()
    modes = [module.training for module in supernet.modules()]
    weights = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    torch.manual_seed(3)
    numbers = torch.get_rng_state()
    legacy = np.random.get_state()[1].copy()
    scorer(supernet, data).scores(some(supernet.space, 3))
    assert [module.training for module in supernet.modules()] == modes
    assert all(torch.equal(tensor, weights[name]) for name, tensor in supernet.state_dict().items())
    assert torch.equal(torch.get_rng_state(), numbers)
    assert (np.random.get_state()[1] == legacy).all()
    assert all(parameter.requires_grad and parameter.grad is None for parameter in supernet.parameters())
    assert not any(parameter.is_inference() for parameter in supernet.parameters())


def test_a_pause_between_architectures_may_end_the_work(data):
    supernet = small_supernet("full").train()
    pauses = []

    def pause():
        pauses.append(None)
        if len(pauses) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scorer(supernet, data, pause=pause).scores(some(supernet.space, 3))
    assert len(pauses) == 4
    assert all(module.training for module in supernet.modules())


def test_codes_that_are_no_numbers_name_their_architecture(data):
    supernet = small_supernet("full")
    good, bad = supernet.space.architecture({cell.name: 0 for cell in supernet.space.cells}), None
    bad = type(good)({**good, "T": "self_ssm"})
    with torch.no_grad():
        supernet.T.operators["self_ssm"].mixer.D.fill_(float("nan"))
    assert scorer(supernet, data).scores([good]) == plain_scores(supernet, data, [good])
    with pytest.raises(AvnasError, match=r"T=self_ssm\): codes: row 0 has nan"):
        scorer(supernet, data).scores([good, bad])


def test_architectures_of_another_space(data):
    with pytest.raises(AvnasError, match="architecture: cell S is missing"):
        scorer(small_supernet("visual"), data).scores(some(small_supernet("full").space, 1))


@pytest.mark.parametrize(("name", "value"), [("queries", -1), ("database", -2), ("memory", -0.5), ("memory", np.nan)])
def test_options_out_of_range(name, value):
    with pytest.raises(AvnasError, match=rf"^scoring\.{name} must be at least 0, got {value}$"):
        Scoring(**{name: value})


@pytest.mark.parametrize("count", [2, 7])
def test_several_ranks_share_the_work_and_know_all_scores(three_ranks, folders, count):
    alone, _ = scores_of_rank(0, *folders, count)
    answers = three_ranks.run(scores_of_rank, *folders, count)
    assert [scores for scores, _ in answers] == [alone] * 3
    batches = 4 + 8
    assert {pauses for _, pauses in answers} == {batches * -(-count // 3)}
