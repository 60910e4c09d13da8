"""Families of operators, which drawings tell apart by colour."""

from dataclasses import dataclass

from avhash_nas.report import style


@dataclass(frozen=True)
class Family:
    """Operators that work alike.

    Attributes:
        title: As in a legend.
        colour: Of its boxes and lines; fills are a tint of it.
        members: Names of its candidates.
    """

    title: str
    colour: str
    members: tuple[str, ...] = ()


SKIP = Family("skip", style.MUTED, ("skip",))
OTHER = Family("other", style.INK)
FAMILIES = (
    Family("attention", style.BLUE, ("self_attention", "cross_attention", "gated_attention")),
    Family("state space", style.VERMILLION, ("self_ssm", "cross_ssm", "aligned_cross_ssm")),
    Family("convolution", style.GREEN, ("conv3", "conv4", "conv5")),
    Family("feed-forward", style.ORANGE, ("mlp", "ffn")),
    Family("activation, norm", style.PURPLE, ("silu", "layer_norm")),
    Family("element by element", style.SKY, ("add", "hadamard")),
    SKIP,
    OTHER,
)
"""The last one holds what no other does, such as a third party's classes."""


def family_of(candidate: str) -> Family:
    """The family of a candidate.

    >>> family_of("conv4").title, family_of("package.module.Class").title
    ('convolution', 'other')
    """
    return next((family for family in FAMILIES if candidate in family.members), OTHER)


def short(candidate: str, length: int = 18) -> str:
    """A candidate's name for a narrow place: of a dotted path the class, cut at `length` characters.

    >>> short("self_attention"), short("package.module.Class")
    ('self attention', 'Class')
    """
    name = candidate.rpartition(".")[2].replace("_", " ")
    return name if len(name) <= length else name[: length - 1] + "…"
