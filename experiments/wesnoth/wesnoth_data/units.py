"""The units of the game: every type, and its female form and variations, with their attacks and animations."""

import re
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.errors import AvnasError
from wesnoth_data.preprocessor import Preprocessor
from wesnoth_data.wml import Node, parse

_FORMS = ("male", "female", "variation")


@dataclass(frozen=True)
class Attack:
    """A weapon.

    Attributes:
        name: As animations name it.
        description: Its name for players, in English.
        range: `melee` or `ranged`.
        type: Of the damage: blade, pierce, impact, fire, cold, arcane.
    """

    name: str
    description: str
    range: str
    type: str


@dataclass(frozen=True)
class Unit:
    """One appearance of a unit type.

    Attributes:
        id: Letters, digits and hyphens, such as `elvish-archer-female`.
        type: Id of the unit type.
        kin: Ids of the types that it can become or was made from.
        name: In English, perhaps with a context before `^`.
        description: In English; empty if there is none.
        race: Id of its race.
        image: Path of its picture at rest.
        die_sound: Its cries, separated by commas.
        attacks: Its weapons.
        animations: What the files say of its animations.
    """

    id: str
    type: str
    kin: frozenset[str]
    name: str
    description: str
    race: str
    image: str
    die_sound: str
    attacks: tuple[Attack, ...]
    animations: tuple[Node, ...]


def read_units(data: Path) -> list[Unit]:
    """All units, sorted by id.

    Args:
        data: The game's folder `data`.

    Raises:
        AvnasError: Files are missing or malformed.
    """
    preprocessor = Preprocessor(data)
    preprocessor.include(data / "core/macros")
    tree = parse(preprocessor.include(data / "core/units.cfg"))
    types = {node.get("id"): node for top in tree.all("units") for node in top.all("unit_type")}
    if not types:
        raise AvnasError(f"{data}: has no units")
    units = [unit for node in types.values() for unit in _forms(_with_base(node, types))]
    return sorted((unit for unit in units if unit.image), key=lambda unit: unit.id)


def _with_base(node: Node, types: dict[str, Node]) -> Node:
    """A type that names a `base_unit` is that one, changed."""
    for base in node.all("base_unit"):
        if base.get("id") not in types:
            raise AvnasError(f"unit {node.get('id')}: its base unit {base.get('id')!r} is not known")
        return merged(_with_base(types[base.get("id")], types), node)
    return node


def merged(base: Node, change: Node) -> Node:
    """A tag changed by another: its attributes win, and its n-th child of a name changes the n-th one there."""
    children: list[Node | None] = list(base.children)
    seen: dict[str, int] = {}
    for child in change.children:
        places = [i for i, other in enumerate(base.children) if other.name == child.name]
        nth = seen.get(child.name, 0)
        seen[child.name] = nth + 1
        if nth >= len(places):
            children.append(child)
        elif child.get("__remove") == "yes":
            children[places[nth]] = None
        else:
            children[places[nth]] = merged(base.children[places[nth]], child)
    return Node(base.name, base.attributes | change.attributes, [child for child in children if child is not None])


def _forms(node: Node) -> list[Unit]:
    """The type itself, and the forms that differ from it."""
    plain = Node(node.name, node.attributes, [child for child in node.children if child.name not in _FORMS])
    units = [_unit(node, plain, "")]
    for form in node.all(*_FORMS):
        inherits = form.get("inherit", "no" if form.name == "variation" else "yes") == "yes"
        own = [child for child in form.children if is_animation(child)]
        whole = merged(plain, form) if inherits else form
        # Inherited animations would show the pictures of the type itself.
        kept = [child for child in whole.children if not is_animation(child)]
        suffix = form.get("variation_id") or form.name
        attributes = plain.attributes | form.attributes
        units.append(_unit(node, Node(node.name, attributes, kept + own), suffix))
    return units


def is_animation(node: Node) -> bool:
    """Whether a tag of a unit says how it moves."""
    return node.name.endswith("_anim") or node.name in ("death", "defend", "animation")


def _unit(node: Node, form: Node, suffix: str) -> Unit:
    advances = {name.strip() for name in node.get("advances_to").split(",")} - {"", "null"}
    bases = {base.get("id") for base in node.all("base_unit")}
    identifier = re.sub(r"[^a-z0-9]+", "-", f"{node.get('id')} {suffix}".lower()).strip("-")
    return Unit(
        id=identifier,
        type=node.get("id"),
        kin=frozenset(advances | bases),
        name=form.get("name"),
        description=form.get("description"),
        race=node.get("race"),
        image=form.get("image"),
        die_sound=form.get("die_sound"),
        attacks=tuple(
            Attack(child.get("name"), child.get("description"), child.get("range"), child.get("type"))
            for child in form.all("attack")
        ),
        animations=tuple(child for child in form.children if is_animation(child)),
    )
