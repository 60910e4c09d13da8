"""A strategy as a third party would write it, from the interface alone."""

import numpy as np
import torch

from avhash_nas.space import Architecture
from avhash_nas.strategies import SearchStrategy


class Marginal(SearchStrategy):
    """Keeps of each cell the candidate with which uniform paths have the smallest mean loss on held-out videos.

    In the end the evaluator compares that architecture with those that differ from it in one cell.
    """

    train_fraction = 0.75

    def setup_search(self, space, seed):
        super().setup_search(space, seed)
        shape = (len(space.cells), max(len(cell.candidates) for cell in space.cells))
        self.architecture.register_buffer("losses", torch.zeros(shape))
        self.architecture.register_buffer("paths", torch.zeros(shape))
        self.best, self.steps = None, 0

    def route(self, progress):
        return self.path(0, progress)

    def path(self, purpose, progress):
        drawn = self.numbers(purpose, progress).integers([len(cell.candidates) for cell in self.space.cells])
        return {cell.name: position for cell, position in zip(self.space.cells, drawn.tolist(), strict=True)}

    def numbers(self, purpose, progress):
        return np.random.default_rng((self.seed, purpose, progress.epoch, progress.batch))

    @torch.no_grad()
    def architecture_step(self, context, batch, progress):
        path, module = self.path(1, progress), context.module
        loss = module.loss(module.augment(self.own_batch(context, progress)), path)
        for cell, position in enumerate(path.values()):
            self.architecture.losses[cell, position] += loss
            self.architecture.paths[cell, position] += 1
        self.steps += 1

    def own_batch(self, context, progress):
        return context.held_out_batch(progress)

    def search(self, evaluator):
        first = dict(self.derive())
        every = [first]
        for cell in self.space.choices:
            every += [first | {cell.name: other} for other in cell.candidates if other != first[cell.name]]
        scores = evaluator.scores([Architecture(each) for each in every])
        self.best = every[int(np.argmax(scores))]

    def derive(self):
        if self.best is not None:
            return Architecture(self.best)
        means = self.architecture.losses / self.architecture.paths
        best = means.nan_to_num(torch.inf).argmin(1).tolist()
        return self.space.architecture({cell.name: at for cell, at in zip(self.space.cells, best, strict=True)})

    def report(self):
        return {"steps": self.steps}

    def state_dict(self):
        return {**super().state_dict(), "best": self.best, "steps": self.steps}

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.best, self.steps = state_dict["best"], state_dict["steps"]
