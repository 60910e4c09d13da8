"""The conformance checks: a sound strategy passes, and whatever breaks the contract is found and named."""

import pytest

from avhash_nas import testing
from avhash_nas.testing import CHECKS, check_strategy, determinism, interruptions, seeds, steps, toy
from testing import broken
from testing.marginal import Marginal


@pytest.mark.parametrize("check", CHECKS)
def test_a_third_partys_strategy_passes(check):
    check(Marginal)


def test_a_promise_is_checked_where_it_is_made():
    testing.no_architecture_is_judged_twice(Marginal)
    with pytest.raises(AssertionError, match=r"choose\(\) asks for an architecture twice: Architecture\(visual"):
        testing.no_architecture_is_judged_twice(broken.AsksTwice)
    interruptions.an_interrupted_choice_ends_the_same(broken.AsksTwice)


@pytest.mark.parametrize(
    ("check", "make", "text"),
    [
        (determinism.state_and_figures_are_plain, broken.StateOfObjects, r"state_dict\(\) holds more than tensors"),
        (determinism.state_and_figures_are_plain, broken.EndlessReport, r"report\(\) holds more than JSON values"),
        (determinism.state_and_figures_are_plain, broken.EmptySummary, r"epoch 0 is not finite: architecture/mean"),
        (
            determinism.a_choice_is_of_the_space,
            broken.UnknownCandidate,
            r"after begin\(\), is not of the space: .*conv7",
        ),
        (determinism.a_choice_is_of_the_space, broken.DerivesByChance, r"derive\(\), after begin\(\), changes global"),
        (determinism.a_choice_is_of_the_space, broken.ChoosesByChance, r"choose\(\) changes global random numbers"),
        (
            determinism.answers_are_pure,
            broken.RoutesByChance,
            r"route\(SearchProgress\(.* changes global random numbers",
        ),
        (
            determinism.answers_are_pure,
            broken.CountsRoutes,
            r"route\(SearchProgress\(.* gives something else when asked again",
        ),
        (determinism.answers_are_pure, broken.CountsInState, r"derive\(\) changes state_dict.steps: 0 and 1"),
        (determinism.answers_are_pure, broken.LeavesOutACell, r"\['derived'\] leaves out the cell visual.D1"),
        (determinism.answers_are_pure, broken.BeyondTheCell, "does not fit the cell visual.U1: -1"),
        (determinism.answers_are_pure, broken.UnevenProbabilities, r"gives visual.U1 no probabilities: \[0.5, 0.75\]"),
        (determinism.answers_are_pure, broken.TooManyProbabilities, "has 3 values for the 2 of visual.U1"),
        (
            determinism.answers_are_pure,
            broken.SelectsNothing,
            r"selects is 'supernet', evaluation_routes\(\) has derived",
        ),
        (steps.weights_move_in_weight_steps_only, broken.MovesWeights, r"weights.hash.fc.weight: 96 of 96 values"),
        (steps.weights_move_in_weight_steps_only, broken.LeavesGradients, r"gradients\.\S+: None and tensor"),
        (steps.weights_move_in_weight_steps_only, broken.LeavesEvaluationMode, "mode.: True and False"),
        (steps.weights_move_in_weight_steps_only, broken.FreezesWeights, r"trained.S.\S+: True and False"),
        (steps.weights_move_in_weight_steps_only, broken.StepsByChance, "global generators of Python or NumPy"),
        (steps.weights_move_in_weight_steps_only, broken.MovesWeightsAtValidation, "between two weight steps.*fc.bias"),
        (steps.architecture_rests_in_weight_steps, broken.MovesWithTheWeights, "changes the architecture: losses"),
        (steps.weights_are_trained_on_their_videos, broken.SharesVideos, "videos train the weights and are held out"),
        (steps.weights_are_trained_on_their_videos, broken.TrainsOnVal, "on 16 videos that are no training videos"),
        (steps.nothing_is_known_of_test, broken.ReadsTest, "reads 16 videos of test"),
        (steps.nothing_is_known_of_test, broken.KnowsTestLabels, "goes another way with other videos in test: steps"),
        (seeds.a_seed_decides_everything, broken.CountsSearches, "a second search .* another way: steps.epoch 0"),
        (seeds.another_process_finds_the_same, broken.HashOfAName, "another process goes another way"),
        (seeds.another_process_finds_the_same, lambda: Marginal(), r"cannot make the strategy; .*functools\.partial"),
        (
            interruptions.a_stopped_search_ends_the_same,
            broken.ForgetsSteps,
            r"another way: steps.epoch 0 batch \d.route",
        ),
        (interruptions.an_interrupted_choice_ends_the_same, broken.ChoosesAnotherEachTime, "chooses otherwise, int"),
        (interruptions.an_interrupted_choice_ends_the_same, broken.AsksForMoreEachTime, r"asks for \+\d+ architect"),
        (toy.one_cell_is_solved, broken.FindsNothing, "conv3 alone can solve the problem; found was skip"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_breach_of_the_contract_is_named(check, make, text):
    with pytest.raises(AssertionError, match=text):
        check(make)


def test_all_checks_in_one_call(monkeypatch):
    asked = []
    monkeypatch.setattr(testing, "CHECKS", (asked.append, asked.append))
    check_strategy(Marginal)
    assert asked == [Marginal, Marginal]


def test_a_strategy_that_trains_no_supernet_has_only_its_choice_to_check():
    class Alone(Marginal):
        uses_supernet = False

        def route(self, progress):
            raise AssertionError("nothing is trained")

    for check in {*CHECKS} - {seeds.another_process_finds_the_same, toy.one_cell_is_solved}:
        check(Alone)
