"""Policies over architectures: ENAS's autoregressive controller, and a factorized policy for comparison."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError

Memory = Any
"""State that a policy passes from cell to cell: tensors of its own, or None."""


class Decoded(NamedTuple):
    """N architectures and their probability under a policy.

    Args:
        choices: Index of the chosen candidate in each of the K cells, int64, (N, K).
        log_probability: log pi of each architecture, with graph, (N,).
        entropy: Of each cell's distribution given the choices before it, summed over the cells, in nats, with graph,
            (N,). Its mean over samples estimates the policy's entropy.
    """

    choices: Tensor
    log_probability: Tensor
    entropy: Tensor


class Policy(nn.Module, ABC):
    """A distribution over architectures, cell by cell: pi(m) is the product of pi(m_k | m_1, ..., m_k-1).

    A cell's logits z become c * tanh(z / T), which bounds every probability: with the defaults none of 8 candidates
    exceeds 0.955, so that exploration never ends.

    Args:
        sizes: Number of candidates of each of the K cells, in order.
        temperature: T, above 0.
        tanh_constant: c, at least 0; 0 leaves tanh out.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(self, sizes: Sequence[int], temperature: float = 5.0, tanh_constant: float = 2.5) -> None:
        super().__init__()
        if not temperature > 0:
            raise AvnasError(f"strategy.temperature must be positive, got {temperature}")
        if not tanh_constant >= 0:
            raise AvnasError(f"strategy.tanh_constant must not be negative, got {tanh_constant}")
        self.sizes = tuple(sizes)
        self.temperature = temperature
        self.tanh_constant = tanh_constant

    @abstractmethod
    def step(self, cell: int, count: int, before: Tensor | None, memory: Memory) -> tuple[Tensor, Memory]:
        """The logits of one cell.

        Args:
            cell: Index of the cell.
            count: N, architectures that are decoded at once.
            before: Their choices in the previous cell, (N,); None at the first cell.
            memory: The state that this method returned for the previous cell; None at the first cell.

        Returns:
            Logits, (N, sizes[cell]), and the state for the next cell.
        """

    def sample(self, count: int, generator: np.random.Generator, *, tanh: bool = True) -> Decoded:
        """Draw architectures, all at once.

        The draws are made on the CPU in float64, whatever device the parameters are on, so that equal generators give
        equal architectures on all ranks.

        Args:
            count: N.
            generator: Source of N * K random numbers.
            tanh: Bound the logits. ENAS-pytorch leaves it out when deriving, the authors' code does not.
        """
        return self._decode(count, self._drawing(count, generator), tanh=tanh)

    @torch.no_grad()
    def marginals(self, count: int, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """Marginal probability of each candidate of each cell.

        Estimated by the mean, over `count` sampled architectures, of its probability given the previous choices; exact
        for the first cell and for independent cells.

        Args:
            count: Number of samples.
            generator: As for `sample`.

        Returns:
            For each cell float64 on the CPU, (sizes[cell],).
        """
        draw, marginals = self._drawing(count, generator), []

        def note_and_draw(cell: int, log_probabilities: Tensor) -> Tensor:
            marginals.append(log_probabilities.double().cpu().exp().mean(0))
            return draw(cell, log_probabilities)

        self._decode(count, note_and_draw)
        return tuple(marginals)

    def score(self, choices: Tensor) -> Decoded:
        """Probabilities of given architectures, (N, K), by teacher forcing."""
        return self._decode(len(choices), lambda cell, _: choices[:, cell])

    @torch.no_grad()
    def greedy(self) -> tuple[int, ...]:
        """The most probable candidate of each cell given the previous choices, the first one of ties."""
        decoded = self._decode(1, lambda _, log_probabilities: log_probabilities.argmax(1))
        return tuple(decoded.choices[0].tolist())

    def _drawing(self, count: int, generator: np.random.Generator) -> Callable[[int, Tensor], Tensor]:
        """A function that draws the choices (N,) of a cell from its log-probabilities (N, n)."""
        numbers = torch.from_numpy(generator.random((count, len(self.sizes))))

        def draw(cell: int, log_probabilities: Tensor) -> Tensor:
            below = log_probabilities.detach().double().cpu().exp().cumsum(1)[:, :-1]
            return (numbers[:, cell, None] >= below).sum(1)

        return draw

    def _decode(self, count: int, choose: Callable[[int, Tensor], Tensor], *, tanh: bool = True) -> Decoded:
        """Go through the cells; `choose` makes the choices (N,) of a cell from its log-probabilities."""
        before, memory = None, None
        choices, log_probabilities, entropies = [], [], []
        for cell in range(len(self.sizes)):
            logits, memory = self.step(cell, count, before, memory)
            logits = logits / self.temperature
            if tanh and self.tanh_constant:
                logits = self.tanh_constant * torch.tanh(logits)
            log_p = torch.log_softmax(logits, 1)  # (N, n)
            before = choose(cell, log_p).to(log_p.device)
            choices.append(before)
            log_probabilities.append(log_p.gather(1, before[:, None])[:, 0])
            entropies.append(-(log_p.exp() * log_p).sum(1))
        return Decoded(torch.stack(choices, 1), torch.stack(log_probabilities).sum(0), torch.stack(entropies).sum(0))

    def _draw_parameters(self, seed: int) -> None:
        """All parameters uniform in [-0.1, 0.1)."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-0.1, 0.1, generator=generator)


class Controller(Policy):
    """ENAS's controller: an LSTM that chooses cell by cell and reads what it has chosen (Pham et al., 2018, sec. 2.2).

    Its first input is a learned embedding, each later one the embedding of the previous choice. Each cell has its own
    head and embedding table.

    Args:
        sizes: Number of candidates of each cell, in order.
        hidden: Width of the LSTM and of the embeddings, at least 1.
        temperature: Divisor of the logits.
        tanh_constant: Bound of the logits; 0 for none.
        seed: Of the initial values.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        hidden: int = 64,
        temperature: float = 5.0,
        tanh_constant: float = 2.5,
        seed: int = 0,
    ) -> None:
        super().__init__(sizes, temperature, tanh_constant)
        if hidden < 1:
            raise AvnasError(f"strategy.hidden must be at least 1, got {hidden}")
        with torch.random.fork_rng(devices=[]):  # torch's own initial values are not used
            self.start = nn.Parameter(torch.empty(hidden))
            self.lstm = nn.LSTMCell(hidden, hidden)
            self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in self.sizes)
            self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in self.sizes[:-1])
        self._draw_parameters(seed)

    @override
    def step(self, cell: int, count: int, before: Tensor | None, memory: Memory) -> tuple[Tensor, Memory]:
        token = self.start.expand(count, -1) if before is None else self.embeddings[cell - 1](before)
        memory = self.lstm(token, memory)
        return self.heads[cell](memory[0]), memory


class FactorizedPolicy(Policy):
    """Independent cells with a vector of logits each: the baseline for the controller's context.

    Args:
        sizes: Number of candidates of each cell, in order.
        temperature: Divisor of the logits.
        tanh_constant: Bound of the logits; 0 for none.
        seed: Of the initial values.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self, sizes: Sequence[int], temperature: float = 5.0, tanh_constant: float = 2.5, seed: int = 0
    ) -> None:
        super().__init__(sizes, temperature, tanh_constant)
        self.logits = nn.ParameterList(nn.Parameter(torch.empty(size)) for size in self.sizes)
        self._draw_parameters(seed)

    @override
    def step(self, cell: int, count: int, before: Tensor | None, memory: Memory) -> tuple[Tensor, Memory]:
        return self.logits[cell].expand(count, -1), None
