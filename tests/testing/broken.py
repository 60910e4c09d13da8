"""Strategies that break the contract, each in one point."""

import random

import numpy as np
import torch

from avhash_nas.space import Architecture
from avhash_nas.strategies import SearchProgress
from testing.marginal import Marginal


class StateOfObjects(Marginal):
    def state_dict(self):
        return {**super().state_dict(), "space": self.space}


class EndlessReport(Marginal):
    def report(self):
        return {"bound": float("inf")}


class EmptySummary(Marginal):
    def summary(self, progress):
        return {"mean": float("nan")}


class UnknownCandidate(Marginal):
    def derive(self):
        return Architecture({**super().derive(), "visual.M1": "conv7"})


class DerivesByChance(Marginal):
    def derive(self):
        random.random()
        return super().derive()


class ChoosesByChance(Marginal):
    def search(self, evaluator):
        np.random.random()
        super().search(evaluator)


class RoutesByChance(Marginal):
    def route(self, progress):
        torch.rand(1)
        return super().route(progress)


class CountsRoutes(Marginal):
    def setup_search(self, space, seed):
        super().setup_search(space, seed)
        self.asked = 0

    def route(self, progress):
        self.asked += 1
        return self.path(2, SearchProgress(0, self.asked, 1, 0))


class CountsInState(Marginal):
    def derive(self):
        self.steps += 1
        return super().derive()


class LeavesOutACell(Marginal):
    def evaluation_routes(self, progress):
        return {"derived": {"visual.M1": 0, "visual.U1": 0}}


class BeyondTheCell(Marginal):
    def route(self, progress):
        return {**super().route(progress), "visual.U1": -1}


class UnevenProbabilities(Marginal):
    def probabilities(self, progress):
        return {"visual.U1": (0.5, 0.75)}


class TooManyProbabilities(Marginal):
    def probabilities(self, progress):
        return {"visual.U1": (0.25, 0.5, 0.25)}


class SelectsNothing(Marginal):
    monitor = "supernet"


class MovesWeights(Marginal):
    def architecture_step(self, context, batch, progress):
        super().architecture_step(context, batch, progress)
        with torch.no_grad():
            context.module.network.hash.fc.weight += 1e-3


class LeavesGradients(Marginal):
    def architecture_step(self, context, batch, progress):
        super().architecture_step(context, batch, progress)
        context.module.loss(batch, self.route(progress)).backward()


class LeavesEvaluationMode(Marginal):
    def architecture_step(self, context, batch, progress):
        context.module.network.eval()
        super().architecture_step(context, batch, progress)


class FreezesWeights(Marginal):
    def architecture_step(self, context, batch, progress):
        super().architecture_step(context, batch, progress)
        context.module.network.S.requires_grad_(False)


class StepsByChance(Marginal):
    def architecture_step(self, context, batch, progress):
        np.random.random()
        super().architecture_step(context, batch, progress)


class MovesWeightsAtValidation(Marginal):
    def start_training(self, context):
        self.network = context.module.network

    @torch.no_grad()
    def evaluation_routes(self, progress):
        self.network.hash.fc.bias.zero_()
        return super().evaluation_routes(progress)


class MovesWithTheWeights(Marginal):
    def route(self, progress):
        self.architecture.losses += 1
        return super().route(progress)


class SharesVideos(Marginal):
    def own_batch(self, context, progress):
        return context.data.batch(context.data.splits["train"][:16])


class TrainsOnVal(Marginal):
    train_fraction = 1.0

    def start_training(self, context):
        context.data.splits["train"][:16] = context.data.splits["val"]

    def own_batch(self, context, progress):
        return context.data.batch(context.data.splits["val"])


class ReadsTest(Marginal):
    def own_batch(self, context, progress):
        return context.data.batch(context.data.splits["test"])


class KnowsTestLabels(Marginal):
    data = None

    def start_training(self, context):
        self.data = context.data

    def numbers(self, purpose, progress):
        known = [] if self.data is None else self.data.labels[self.data.splits["test"], 0].tolist()
        return np.random.default_rng((self.seed, purpose, progress.epoch, progress.batch, *map(int, known)))


class CountsSearches(Marginal):
    searches = 0

    def setup_search(self, space, seed):
        type(self).searches += 1
        super().setup_search(space, seed + self.searches)


class HashOfAName(Marginal):
    def numbers(self, purpose, progress):
        return np.random.default_rng((self.seed, purpose, progress.epoch, progress.batch, abs(hash("visual.M1"))))


class ForgetsSteps(Marginal):
    def route(self, progress):
        return self.path(2, SearchProgress(0, self.steps, 1, 0))

    def state_dict(self):
        return {**super().state_dict(), "steps": 0}


class ChoosesAnotherEachTime(Marginal):
    choices = 0

    def search(self, evaluator):
        super().search(evaluator)
        type(self).choices += 1
        self.best = dict(self.space.architecture(self.path(3, SearchProgress(0, self.choices, 1, 0))))


class AsksForMoreEachTime(Marginal):
    choices = 0

    def search(self, evaluator):
        super().search(evaluator)
        for number in range(self.choices):
            evaluator.scores([self.space.architecture(self.path(3, SearchProgress(0, number, 1, 0)))])
        type(self).choices += 5


class AsksTwice(Marginal):
    def search(self, evaluator):
        super().search(evaluator)
        evaluator.train(self.derive())


class FindsNothing(Marginal):
    def search(self, evaluator):
        self.best = {cell.name: cell.candidates[0] for cell in self.space.cells}
