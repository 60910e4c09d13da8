"""A network as one training step runs it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from torch import Tensor, nn
from torch.func import functional_call

from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.route import Route

R = TypeVar("R")


class RoutedNetwork(NamedTuple):
    """A network with what it runs: all that an objective needs of it.

    Attributes:
        network: The network; call it through the methods here, which know the route and the parameters.
        route: What a supernet runs.
        parameters: In place of the network's own, by name; the network stays as it is.
    """

    network: HashNetwork
    route: Route | None = None
    parameters: Mapping[str, Tensor] | None = None

    def codes(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Relaxed codes, as `HashNetwork.forward` gives them, (B, q)."""
        codes: Tensor = self.apply(lambda network: network(visual, audio, self.route))
        return codes

    def codes_and_steps(self, visual: Tensor, audio: Tensor, positions: Tensor | None = None) -> CodesAndSteps:
        """Relaxed codes of videos and of their time steps, as `HashNetwork.codes_and_steps` gives them."""
        return self.apply(lambda network: network.codes_and_steps(visual, audio, self.route, positions))

    def apply(self, function: Callable[[HashNetwork], R]) -> R:
        """What a function of the network gives under these parameters."""
        if self.parameters is None:
            return function(self.network)
        named = {f"network.{name}": value for name, value in self.parameters.items()}
        result: R = functional_call(_Applied(self.network), named, (function,))
        return result


class _Applied(nn.Module):
    """Hands a network to a function within a module's call, where `functional_call` puts parameters in place."""

    def __init__(self, network: HashNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, function: Callable[[HashNetwork], R]) -> R:
        return function(self.network)
