"""Strategies that break the contract, each in one point."""

import random

import numpy as np
import torch

from avhash_nas.space import Architecture
from avhash_nas.strategies import Moment
from testing.marginal import Marginal


class StateOfObjects(Marginal):
    def state_dict(self):
        return {**super().state_dict(), "space": self.space}


class EndlessReport(Marginal):
    def report(self):
        return {"bound": float("inf")}


class EmptySummary(Marginal):
    def summary(self, moment):
        return {"mean": float("nan")}


class UnknownCandidate(Marginal):
    def derive(self):
        return Architecture({**super().derive(), "visual.M1": "conv7"})


class DerivesByChance(Marginal):
    def derive(self):
        random.random()
        return super().derive()


class ChoosesByChance(Marginal):
    def choose(self, judge):
        np.random.random()
        super().choose(judge)


class RoutesByChance(Marginal):
    def route(self, moment):
        torch.rand(1)
        return super().route(moment)


class CountsRoutes(Marginal):
    def begin(self, space, seed):
        super().begin(space, seed)
        self.asked = 0

    def route(self, moment):
        self.asked += 1
        return self.path(2, Moment(0, self.asked, 1, 0))


class CountsInState(Marginal):
    def derive(self):
        self.steps += 1
        return super().derive()


class LeavesOutACell(Marginal):
    def evaluation_routes(self, moment):
        return {"derived": {"visual.M1": 0, "visual.U1": 0}}


class BeyondTheCell(Marginal):
    def route(self, moment):
        return {**super().route(moment), "visual.U1": -1}


class UnevenProbabilities(Marginal):
    def probabilities(self, moment):
        return {"visual.U1": (0.5, 0.75)}


class TooManyProbabilities(Marginal):
    def probabilities(self, moment):
        return {"visual.U1": (0.25, 0.5, 0.25)}


class SelectsNothing(Marginal):
    selects = "supernet"


class MovesWeights(Marginal):
    def architecture_step(self, module, batch, moment):
        super().architecture_step(module, batch, moment)
        with torch.no_grad():
            module.network.hash.fc.weight += 1e-3


class LeavesGradients(Marginal):
    def architecture_step(self, module, batch, moment):
        super().architecture_step(module, batch, moment)
        module.loss(batch, self.route(moment)).backward()


class LeavesEvaluationMode(Marginal):
    def architecture_step(self, module, batch, moment):
        module.network.eval()
        super().architecture_step(module, batch, moment)


class FreezesWeights(Marginal):
    def architecture_step(self, module, batch, moment):
        super().architecture_step(module, batch, moment)
        module.network.S.requires_grad_(False)


class StepsByChance(Marginal):
    def architecture_step(self, module, batch, moment):
        np.random.random()
        super().architecture_step(module, batch, moment)


class MovesWeightsAtValidation(Marginal):
    @torch.no_grad()
    def on_validation_epoch_start(self, trainer, pl_module):
        super().on_validation_epoch_start(trainer, pl_module)
        pl_module.network.hash.fc.bias.zero_()


class MovesWithTheWeights(Marginal):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.architecture.losses += 1


class SharesVideos(Marginal):
    def architecture_batch(self, module, moment):
        return module.receive(self.data.batch(self.data.splits["train"][:16]))


class TrainsOnVal(Marginal):
    portion = 1.0

    def setup(self, trainer, pl_module, stage):
        super().setup(trainer, pl_module, stage)
        self.data.train_on(self.data.splits["val"])

    def architecture_batch(self, module, moment):
        return module.receive(self.data.batch(self.data.splits["val"]))


class ReadsTest(Marginal):
    def architecture_batch(self, module, moment):
        return module.receive(self.data.batch(self.data.splits["test"]))


class KnowsTestLabels(Marginal):
    def numbers(self, purpose, moment):
        known = self.data.labels[self.data.splits["test"], 0].tolist() if hasattr(self, "data") else []
        return np.random.default_rng((self.seed, purpose, moment.epoch, moment.batch, *map(int, known)))


class CountsSearches(Marginal):
    searches = 0

    def begin(self, space, seed):
        type(self).searches += 1
        super().begin(space, seed + self.searches)


class HashOfAName(Marginal):
    def numbers(self, purpose, moment):
        return np.random.default_rng((self.seed, purpose, moment.epoch, moment.batch, abs(hash("visual.M1"))))


class ForgetsSteps(Marginal):
    def route(self, moment):
        return self.path(2, Moment(0, self.steps, 1, 0))

    def state_dict(self):
        return {**super().state_dict(), "steps": 0}


class ChoosesAnotherEachTime(Marginal):
    choices = 0

    def choose(self, judge):
        super().choose(judge)
        type(self).choices += 1
        self.best = dict(self.space.architecture(self.path(3, Moment(0, self.choices, 1, 0))))


class AsksForMoreEachTime(Marginal):
    choices = 0

    def choose(self, judge):
        super().choose(judge)
        for number in range(self.choices):
            judge.scores([self.space.architecture(self.path(3, Moment(0, number, 1, 0)))])
        type(self).choices += 5


class AsksTwice(Marginal):
    def choose(self, judge):
        super().choose(judge)
        judge.train(self.derive())


class FindsNothing(Marginal):
    def choose(self, judge):
        self.best = {cell.name: cell.candidates[0] for cell in self.space.cells}
