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
    def architecture_step(self, module, batch, progress):
        super().architecture_step(module, batch, progress)
        with torch.no_grad():
            module.network.hash.fc.weight += 1e-3


class LeavesGradients(Marginal):
    def architecture_step(self, module, batch, progress):
        super().architecture_step(module, batch, progress)
        module.loss(batch, self.route(progress)).backward()


class LeavesEvaluationMode(Marginal):
    def architecture_step(self, module, batch, progress):
        module.network.eval()
        super().architecture_step(module, batch, progress)


class FreezesWeights(Marginal):
    def architecture_step(self, module, batch, progress):
        super().architecture_step(module, batch, progress)
        module.network.S.requires_grad_(False)


class StepsByChance(Marginal):
    def architecture_step(self, module, batch, progress):
        np.random.random()
        super().architecture_step(module, batch, progress)


class MovesWeightsAtValidation(Marginal):
    @torch.no_grad()
    def on_validation_epoch_start(self, trainer, pl_module):
        super().on_validation_epoch_start(trainer, pl_module)
        pl_module.network.hash.fc.bias.zero_()


class MovesWithTheWeights(Marginal):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.architecture.losses += 1


class SharesVideos(Marginal):
    def architecture_batch(self, module, progress):
        return module.receive(self.data.batch(self.data.splits["train"][:16]))


class TrainsOnVal(Marginal):
    train_fraction = 1.0

    def setup(self, trainer, pl_module, stage):
        super().setup(trainer, pl_module, stage)
        self.data.train_on(self.data.splits["val"])

    def architecture_batch(self, module, progress):
        return module.receive(self.data.batch(self.data.splits["val"]))


class ReadsTest(Marginal):
    def architecture_batch(self, module, progress):
        return module.receive(self.data.batch(self.data.splits["test"]))


class KnowsTestLabels(Marginal):
    def numbers(self, purpose, progress):
        known = self.data.labels[self.data.splits["test"], 0].tolist() if hasattr(self, "data") else []
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
