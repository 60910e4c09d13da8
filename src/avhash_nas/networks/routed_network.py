"""A network with the route and parameters of one training step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.func import functional_call

from avhash_nas.errors import AvnasError
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.parsing_network import Parsing, ParsingNetwork
from avhash_nas.networks.route import Route
from avhash_nas.networks.video_network import VideoNetwork

R = TypeVar("R")


class RoutedNetwork(NamedTuple):
    """A network with a route and parameters: the form in which objectives get it.

    Attributes:
        network: The network; call it through the methods here, which apply the route and the parameters.
        route: A choice for every cell of a supernet.
        parameters: Replacements for the network's own parameters, by name; the network stays unchanged.
    """

    network: VideoNetwork
    route: Route | None = None
    parameters: Mapping[str, Tensor] | None = None

    def codes(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes relaxed codes as `HashNetwork.forward` does, (B, q).

        Raises:
            AvnasError: The network is no hashing network.
        """
        self._check(HashNetwork, "codes")
        codes: Tensor = self.apply(lambda network: network(visual, audio, self.route))
        return codes

    def codes_and_steps(self, visual: Tensor, audio: Tensor, positions: Tensor | None = None) -> CodesAndSteps:
        """Computes relaxed codes of videos and of their time steps, as `HashNetwork.codes_and_steps` does.

        Raises:
            AvnasError: The network is no hashing network.
        """
        self._check(HashNetwork, "codes")
        both: CodesAndSteps = self.apply(lambda network: network.codes_and_steps(visual, audio, self.route, positions))
        return both

    def parse(self, visual: Tensor, audio: Tensor, pseudo: Tensor | None = None) -> Parsing:
        """Parses videos as `ParsingNetwork.forward` does.

        Raises:
            AvnasError: The network is no parsing network.
        """
        self._check(ParsingNetwork, "segment outputs")
        parsing: Parsing = self.apply(lambda network: network(visual, audio, self.route, pseudo))
        return parsing

    def apply(self, function: Callable[[Any], R]) -> R:
        """Calls a function of the network with these parameters in place."""
        if self.parameters is None:
            return function(self.network)
        named = {f"network.{name}": value for name, value in self.parameters.items()}
        result: R = functional_call(_Applied(self.network), named, (function,))
        return result

    def _check(self, kind: type[Any], outputs: str) -> None:
        if not isinstance(self.network, kind):
            raise AvnasError(f"{type(self.network).__name__} gives no {outputs}: take another objective or network")


class _Applied(nn.Module):
    """Calls a function of a network within a module's forward, where `functional_call` replaces parameters."""

    def __init__(self, network: VideoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, function: Callable[[Any], R]) -> R:
        return function(self.network)
