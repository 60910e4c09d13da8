"""Architecture parameters alpha: one vector of logits for each cell with more than one candidate."""

import torch
from torch import Tensor, nn

from avhash_nas.space import Architecture, SearchSpace


class ArchitectureLogits(nn.Module):
    """The alpha of Eq. 39: softmax(alpha_cell) weighs the candidates of a cell.

    Args:
        space: One vector for each of its cells with more than one candidate.
        scale: Standard deviation of the initial values; 0 starts uniform. (The authors' code draws them from N(0, 1),
            which its learning rate cannot undo in early epochs.)
        seed: Of the initial values.
    """

    def __init__(self, space: SearchSpace, scale: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.ParameterList(
            nn.Parameter(scale * torch.randn(len(cell.candidates), generator=generator)) for cell in space.choices
        )

    def probabilities(self, temperature: float = 1.0) -> dict[str, Tensor]:
        """softmax(alpha / temperature) by cell name, with gradient (Eq. 42 at temperature 1)."""
        return {
            cell.name: torch.softmax(logits / temperature, dim=0)
            for cell, logits in zip(self.space.choices, self.logits, strict=True)
        }

    def entropy(self, temperature: float = 1.0) -> Tensor:
        """Mean over cells of the entropy of their probabilities, divided by its maximum: 1 uniform, 0 decided."""
        values = [
            torch.special.entr(p).sum() / torch.log(torch.tensor(float(len(p)), device=p.device))
            for p in self.probabilities(temperature).values()
        ]
        return torch.stack(values).mean()

    def argmax(self) -> Architecture:
        """The most probable candidate of every cell, the first one of equals (Eq. 43)."""
        best = {
            cell.name: int(logits.detach().argmax())
            for cell, logits in zip(self.space.choices, self.logits, strict=True)
        }
        return self.space.architecture({cell.name: best.get(cell.name, 0) for cell in self.space.cells})
