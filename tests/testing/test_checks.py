"""The conformance checks: a correct strategy passes, and each violation of the contract is reported."""

import pytest

from avhash_nas import testing
from avhash_nas.testing import CHECKS, check_strategy, determinism, interruptions, seeds, steps, toy
from testing import broken
from testing.marginal import Marginal


@pytest.mark.parametrize("check", CHECKS)
def test_third_party_strategy_passes(check):
    check(Marginal)


def test_optional_check_of_repeated_evaluations():
    testing.no_architecture_is_evaluated_twice(Marginal)
    with pytest.raises(AssertionError, match=r"search\(\) requests the score of an architecture twice: Arch"):
        testing.no_architecture_is_evaluated_twice(broken.AsksTwice)
    interruptions.interrupted_evaluation_gives_the_same(broken.AsksTwice)


@pytest.mark.parametrize(
    ("check", "make", "text"),
    [
        (determinism.state_and_results_are_plain, broken.StateOfObjects, r"state_dict\(\) holds more than tensors"),
        (determinism.state_and_results_are_plain, broken.EndlessReport, r"report\(\) holds more than JSON values"),
        (determinism.state_and_results_are_plain, broken.EmptySummary, r"epoch 0 is not finite: architecture/mean"),
        (
            determinism.derived_architecture_fits_the_space,
            broken.UnknownCandidate,
            r"after setup_search\(\), is not in the space: .*conv7",
        ),
        (
            determinism.derived_architecture_fits_the_space,
            broken.DerivesByChance,
            r"after setup_search\(\), changes global",
        ),
        (
            determinism.derived_architecture_fits_the_space,
            broken.ChoosesByChance,
            r"search\(\) changes global random",
        ),
        (
            determinism.queries_are_pure,
            broken.RoutesByChance,
            r"route\(SearchProgress\(.* changes global random numbers",
        ),
        (
            determinism.queries_are_pure,
            broken.CountsRoutes,
            r"route\(SearchProgress\(.* differs when called again",
        ),
        (determinism.queries_are_pure, broken.CountsInState, r"derive\(\) changes state_dict.steps: 0 and 1"),
        (determinism.queries_are_pure, broken.LeavesOutACell, r"\['derived'\] leaves out the cell visual.D1"),
        (determinism.queries_are_pure, broken.BeyondTheCell, "does not fit the cell visual.U1: -1"),
        (
            determinism.queries_are_pure,
            broken.UnevenProbabilities,
            r"not probabilities of visual.U1: \[0.5, 0.75\]",
        ),
        (determinism.queries_are_pure, broken.TooManyProbabilities, "has 3 values for the 2 of visual.U1"),
        (
            determinism.queries_are_pure,
            broken.SelectsNothing,
            r"monitor is 'supernet', evaluation_routes\(\) has derived",
        ),
        (steps.only_weight_steps_change_weights, broken.MovesWeights, r"weights.hash.fc.weight: 96 of 96 values"),
        (steps.only_weight_steps_change_weights, broken.LeavesGradients, r"gradients\.\S+: None and tensor"),
        (steps.only_weight_steps_change_weights, broken.LeavesEvaluationMode, "mode.: True and False"),
        (steps.only_weight_steps_change_weights, broken.FreezesWeights, r"trained.S.\S+: True and False"),
        (steps.only_weight_steps_change_weights, broken.StepsByChance, "global generators of Python or NumPy"),
        (steps.only_weight_steps_change_weights, broken.MovesWeightsAtValidation, "between two weight steps.*fc.bias"),
        (steps.weight_steps_keep_the_architecture, broken.MovesWithTheWeights, "changes the architecture: losses"),
        (steps.training_videos_are_separate, broken.SharesVideos, "videos train the weights and are used"),
        (steps.training_videos_are_separate, broken.TrainsOnVal, "on 13 videos outside train"),
        (steps.test_split_is_unused, broken.ReadsTest, "reads 16 videos of test"),
        (steps.test_split_is_unused, broken.KnowsTestLabels, "differs with other videos in test: steps"),
        (seeds.seed_determines_everything, broken.CountsSearches, "a second search .* differs: steps.epoch 0"),
        (seeds.another_process_gives_the_same, broken.HashOfAName, "differs in another process"),
        (seeds.another_process_gives_the_same, lambda: Marginal(), r"cannot make the strategy; .*functools\.partial"),
        (
            interruptions.stopped_search_gives_the_same,
            broken.ForgetsSteps,
            r"stopped differs: steps.epoch 0 batch \d.route",
        ),
        (
            interruptions.interrupted_evaluation_gives_the_same,
            broken.ChoosesAnotherEachTime,
            "differs when interrupted",
        ),
        (interruptions.interrupted_evaluation_gives_the_same, broken.AsksForMoreEachTime, r"requests \+\d+ scores"),
        (toy.one_cell_is_solved, broken.FindsNothing, "only conv3 can solve the problem; derived was skip"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_violation_is_reported(check, make, text):
    with pytest.raises(AssertionError, match=text):
        check(make)


def test_check_strategy_runs_all_checks(monkeypatch):
    asked = []
    monkeypatch.setattr(testing, "CHECKS", (asked.append, asked.append))
    check_strategy(Marginal)
    assert asked == [Marginal, Marginal]


def test_strategy_without_supernet_needs_no_training():
    class Alone(Marginal):
        uses_supernet = False

        def route(self, progress):
            raise AssertionError("nothing is trained")

    for check in {*CHECKS} - {seeds.another_process_gives_the_same, toy.one_cell_is_solved}:
        check(Alone)
