"""The encoder of one modality, Eq. 3-5 of the paper."""

from collections.abc import Mapping

from torch import Tensor, nn

from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Route
from avhash_nas.space import SearchSpace

CELLS = {**dict.fromkeys(("M1", "U1", "M2", "U2", "D1"), True), **dict.fromkeys(("U3", "M3", "D2", "U4"), False)}
"""The cells in the order of the graph, and whether their width is the inner width E (before Down) instead of D."""


class Encoder(GraphModule):
    """E1 = U3(Down(D1(M2(U1(M1(Up x))), U2(Up' x)))), then E2 = U4(D2(M3(E1), E1)).

    Up and Up' are two matrices, as in the authors' code; like Down they have no bias. The paper does not state their
    initialization; here it is orthogonal, so that the linear path loses nothing of its input.

    Args:
        modality: `visual` or `audio`: the prefix of the cells' names.
        space: Its cells `modality.M1` ... `modality.U4`, and `expand` for the inner width E = expand * D.
        width: D.
        sizes: Arguments of the operators, besides their width.
    """

    inputs = ("x",)
    graph = (
        Node("up", ("x",)),
        Node("M1", ("up",)),
        Node("U1", ("M1",)),
        Node("M2", ("U1",)),
        Node("up_gate", ("x",)),
        Node("U2", ("up_gate",)),
        Node("D1", ("M2", "U2")),
        Node("down", ("D1",)),
        Node("U3", ("down",)),  # E1
        Node("M3", ("U3",)),
        Node("D2", ("M3", "U3")),
        Node("U4", ("D2",)),
    )

    def __init__(self, modality: str, space: SearchSpace, width: int, sizes: Mapping[str, float]) -> None:
        super().__init__()
        inner = width * (space.expand or 1)
        self.up: nn.Module
        self.up_gate: nn.Module
        self.down: nn.Module
        if space.expand is None:
            self.up, self.up_gate, self.down = nn.Identity(), nn.Identity(), nn.Identity()
        else:
            self.up = nn.Linear(width, inner, bias=False)
            self.up_gate = nn.Linear(width, inner, bias=False)
            self.down = nn.Linear(inner, width, bias=False)
            for linear in (self.up, self.up_gate, self.down):
                nn.init.orthogonal_(linear.weight)
        for leaf, is_inner in CELLS.items():
            cell = space[f"{modality}.{leaf}"]
            self.add_module(leaf, MixedCell(cell, {**sizes, "width": inner if is_inner else width}))

    def forward(self, x: Tensor, route: Route | None) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        return self.run_graph((x,), route)
