"""From units to clips: actions, lines, splits, what is drawn and heard, captions."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wesnoth_data.actions import Action, actions, rest_pictures
from wesnoth_data.captions import Translations, captions
from wesnoth_data.clip import SECONDS, Clip, middles
from wesnoth_data.events import CLASSES, heard, seen, truth_of
from wesnoth_data.pictures import TEAMS, Pictures, recolored
from wesnoth_data.plan import Amounts, make_clip, plan
from wesnoth_data.scene import Renderer, drawn, ground_place
from wesnoth_data.sounds import Sounds
from wesnoth_data.splits import SHARES, assign_splits, find_lines
from wesnoth_data.units import read_units

from avhash_nas.errors import AvnasError
from experiments.wesnoth_tree import UNIT, write_game

FEMALE = """
    [female]
        name= _ "female^NAME"
        image="units/NAME/defend.png"
        die_sound=hit-2.wav
    [/female]
[/unit_type]
"""


class Game:
    """The units of a game, and what reads their files."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.units = {unit.id: unit for unit in read_units(data)}
        self.sounds = Sounds(data, 16000)
        self.lines = find_lines(list(self.units.values()), Pictures(data))

    def action(self, unit: str, kind: str) -> Action:
        return next(action for action in actions(self.units[unit]) if action.kind == kind)

    def clip(self, unit: str, *kinds: str, outcome: str = "", name: str = "clip") -> Clip:
        choices = []
        for kind in kinds:
            action = self.action(unit, kind)
            choices.append([(action, each) for each in action.outcomes or ("",) if not outcome or each == outcome])
        made = make_clip(name, self.units[unit], choices, self.sounds, seed=0)
        assert made is not None
        return made

    def plan(self, **amounts: int) -> list[Clip]:
        return plan(list(self.units.values()), self.lines, self.sounds, Amounts(**amounts), seed=0)


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Game:
    """Ann becomes Bob; Cid is a woman, too; Dan is shown by one of Eve's pictures; Fay is alone."""
    changed = {
        "Cid": UNIT.replace("[/unit_type]\n", FEMALE),
        "Dan": UNIT.replace('image="{PATH}stand.png"', 'image="units/Eve/stand.png"'),
    }
    names = {"Ann": "Bob", "Bob": "", "Cid": "", "Dan": "", "Eve": "", "Fay": ""}
    return Game(write_game(tmp_path_factory.mktemp("game"), names, changed))


def test_units_have_all_their_forms(game: Game) -> None:
    assert list(game.units) == ["ann", "bob", "cid", "cid-female", "dan", "eve", "fay"]
    she = game.units["cid-female"]
    assert (she.type, she.name, she.race) == ("Cid", "female^Cid", "folk")
    assert she.attacks == game.units["cid"].attacks
    assert [action.kind for action in actions(she)] == ["die", "move"]  # no animation shows her
    assert game.units["ann"].description == "The Ann is one of many. It fights."


def test_actions_are_what_the_files_and_the_game_have(game: Game) -> None:
    found = {action.kind: action for action in actions(game.units["ann"])}
    assert list(found) == ["melee", "ranged", "defend", "die", "idle", "move"]
    assert found["melee"].outcomes == found["defend"].outcomes == ("hit", "miss")
    assert found["ranged"].outcomes == ()  # a hit looks and sounds like a miss
    sounds = {outcome: found["melee"].animations("se", outcome)[0].sounds() for outcome in ("hit", "miss")}
    assert sounds == {"hit": [(-100, ("sword.wav",))], "miss": [(-100, ("miss-1.wav",))]}
    dying = found["die"].animations("se", "")[0]
    assert dying.sounds() == [(0, ("die-1.wav", "die-2.wav"))]
    assert dying.end - dying.start == 600
    assert found["move"].animations("n", "")[0].end >= 600


def test_kin_and_units_that_share_a_picture_are_one_line(game: Game) -> None:
    groups: dict[str, set[str]] = {}
    for unit, line in game.lines.items():
        groups.setdefault(line, set()).add(unit)
    assert sorted(map(sorted, groups.values())) == [["ann", "bob"], ["cid", "cid-female"], ["dan", "eve"], ["fay"]]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 50)), min_size=1, max_size=40), st.integers(0, 3))
def test_every_race_is_split_as_evenly_as_its_lines_allow(lines: list[tuple[str, int]], seed: int) -> None:
    races = {f"line{i}": race for i, (race, _) in enumerate(lines)}
    sizes = {f"line{i}": size for i, (_, size) in enumerate(lines)}
    splits = assign_splits(races, sizes, seed)
    assert splits.keys() == races.keys()
    for race in set(races.values()):
        here = [line for line in races if races[line] == race]
        total, largest = sum(sizes[line] for line in here), max(sizes[line] for line in here)
        for split, share in SHARES.items():
            assert sum(sizes[line] for line in here if splits[line] == split) <= share * total + largest


def test_exchanges_come_in_both_orders(game: Game) -> None:
    clips = game.plan(kind=4, exchanges=2)
    assert clips == game.plan(kind=4, exchanges=2)
    assert len({clip.id for clip in clips}) == len(clips)
    orders = Counter(
        tuple(part.kind.replace("ranged", "melee") for part in c.parts) for c in clips if len(c.parts) == 2
    )
    assert len(orders) == 6
    assert all(orders[order] == orders[order[::-1]] for order in orders)
    singles = Counter((clip.parts[0].kind, clip.parts[0].outcome) for clip in clips if len(clip.parts) == 1)
    assert singles["melee", "hit"] == singles["melee", "miss"] == singles["idle", ""] == 4


def test_a_smaller_dataset_holds_the_same_clips(game: Game) -> None:
    few, more = game.plan(kind=3, exchanges=1), game.plan(kind=5, exchanges=2)
    by_id = {clip.id: clip for clip in more}
    assert all(by_id[clip.id] == clip for clip in few)


def test_an_action_that_shows_nothing_is_left_out(tmp_path: Path) -> None:
    still = UNIT.replace("units/NAME/defend.png", "units/NAME/stand.png")
    clips = Game(write_game(tmp_path, {"Ann": ""}, {"Ann": still})).plan(kind=2, exchanges=1)
    assert {part.kind for clip in clips for part in clip.parts} == {"melee", "ranged", "die", "idle", "move"}


def test_parts_follow_each_other_within_the_clip(game: Game) -> None:
    for clip in game.plan(kind=4, exchanges=2):
        assert clip.parts[0].begin > 0
        assert clip.parts[-1].end < SECONDS
        assert all(one.end < other.begin for one, other in zip(clip.parts, clip.parts[1:], strict=False))
        assert all(0 < at < SECONDS for at, _ in clip.cues)


def test_a_unit_rests_outside_of_its_actions(game: Game) -> None:
    clip = game.clip("ann", "melee", "defend")
    rest = drawn(clip, 0)
    assert [item.picture for item in rest] == [rest_pictures(clip.unit)[clip.direction]]
    gap = (clip.parts[0].end + clip.parts[1].begin) / 2
    assert drawn(clip, gap) == drawn(clip, SECONDS) == rest
    assert drawn(clip, clip.parts[0].begin + 0.2) != rest
    assert ground_place(clip, SECONDS) == (0, 0)


def test_the_dead_do_not_come_back(game: Game) -> None:
    clip = game.clip("ann", "die")
    part = clip.parts[0]
    assert [item.alpha for item in drawn(clip, part.begin + 0.3)] == [pytest.approx(0.5)]
    assert drawn(clip, part.end + 0.01) == []


def test_a_unit_that_moves_ends_in_the_middle_of_other_ground(game: Game) -> None:
    clip = game.clip("ann", "move")
    part = clip.parts[0]
    middle = drawn(clip, (part.begin + part.end) / 2)[0]
    assert abs(middle.x) + abs(middle.y) > 30
    assert [(item.x, item.y) for item in drawn(clip, part.end + 0.01)] == [(0, 0)]
    assert max(map(abs, ground_place(clip, part.end + 0.01))) >= 72
    assert ground_place(clip, part.end + 0.01) == ground_place(clip, SECONDS)


def test_frames_show_what_is_drawn(game: Game) -> None:
    clip = game.clip("ann", "melee", "defend")
    times = middles()
    frames = Renderer(game.data).frames(clip, times)
    assert frames.shape == (25, 112, 112, 3)
    assert (frames == Renderer(game.data).frames(clip, times)).all()
    scenes = [drawn(clip, time) for time in times]
    for i in range(25):
        for j in range(i):
            assert (frames[i] == frames[j]).all() == (scenes[i] == scenes[j])


def test_a_missile_flies_where_the_unit_faces(game: Game) -> None:
    action = game.action("ann", "ranged")
    for direction, picture, flips in (
        ("n", "n", (False, False)),
        ("s", "n", (False, True)),
        ("sw", "ne", (True, True)),
    ):
        animation = action.animations(direction, "")[0]
        clip = game.clip("ann", "ranged")
        part = replace(clip.parts[0], animation=animation, begin=0.5)
        clip = replace(clip, parts=(part,), direction=direction)
        shot = [item for item in drawn(clip, part.begin + 0.29) if "arrow" in item.picture]
        assert [(item.picture, (item.mirrored, item.upside_down)) for item in shot] == [
            (f"projectiles/arrow-{picture}.png", flips)
        ]
        assert (shot[0].y > 10) == ("s" in direction)
        assert (shot[0].x < -10) == ("w" in direction)


def test_team_colors_replace_only_magenta() -> None:
    pixels = np.array([[[0xF4, 0x9A, 0xC1, 255], [0x3F, 0, 0x16, 9], [1, 2, 3, 255]]], np.uint8)
    for team, (middle, _, _) in TEAMS.items():
        out = recolored(pixels, team)
        assert out[0, 0].tolist() == [middle >> 16, middle >> 8 & 255, middle & 255, 255]
        assert out[0, 1, :3].max() <= out[0, 0, :3].max()
        assert out[0, 2].tolist() == [1, 2, 3, 255]
        assert out[0, :, 3].tolist() == [255, 9, 255]


def test_sounds_are_mixed_at_their_times(game: Game) -> None:
    silent = game.sounds.mixed([], SECONDS, (0,))
    mixed = game.sounds.mixed([(0.5, "sword.wav"), (2.4, "miss-1.wav")], SECONDS, (0,))
    assert len(mixed) == SECONDS * 16000
    loud = np.flatnonzero(np.abs(mixed - silent) > 0.01) / 16000
    inside = ((loud >= 0.5) & (loud < 0.71)) | (loud >= 2.4)
    assert inside.all()
    assert 0 < np.abs(silent).max() < 0.01
    assert game.sounds.seconds("sword.wav") == pytest.approx(0.2, abs=0.01)


def test_events_are_what_is_drawn_and_mixed(game: Game) -> None:
    clip = game.clip("ann", "melee", "defend", outcome="hit")
    blow, defense = seen(clip)
    assert (blow.label, defense.label) == ("blade", "defense")
    for event, part in zip((blow, defense), clip.parts, strict=True):
        assert part.begin <= event.onset < event.offset <= part.end
    rest = drawn(clip, 0)
    for time in np.arange(0, SECONDS, 0.037):
        inside = any(event.onset - 0.01 <= time < event.offset + 0.01 for event in (blow, defense))
        assert inside or drawn(clip, time) == rest
    sword, cry = heard(clip, game.sounds)
    assert (sword.label, cry.label) == ("blade", "defense")
    assert sword.onset == pytest.approx(clip.parts[0].begin + 0.1)
    assert sword.offset == pytest.approx(sword.onset + 0.2, abs=0.01)
    assert [event.label for event in heard(game.clip("ann", "melee", outcome="miss"), game.sounds)] == ["miss"]
    assert heard(game.clip("ann", "move"), game.sounds) == []


def test_events_of_a_class_that_overlap_are_one(game: Game) -> None:
    clip = game.clip("ann", "melee", outcome="hit")
    part = replace(
        clip.parts[0], cues=((0.5, "sword.wav"), (0.6, "sword.wav"), (1.0, "sword.wav"), (2.495, "sword.wav"))
    )
    first, second = truth_of(replace(clip, parts=(part,)), game.sounds).audio
    assert (first.onset, second.onset) == (0.5, 1.0)
    assert first.offset == pytest.approx(0.8, abs=0.01)


def test_every_event_is_of_a_known_class(game: Game) -> None:
    for clip in game.plan(kind=4, exchanges=1):
        events = [*seen(clip), *heard(clip, game.sounds)]
        assert {event.label for event in events} <= set(CLASSES)
        assert all(0 <= event.onset < event.offset <= SECONDS for event in events)
        assert len(seen(clip)) == len(clip.parts)


def test_captions_say_what_happens_where_it_is_translated(game: Game) -> None:
    texts = {
        caption.language: caption.text
        for caption in captions(game.clip("ann", "melee", outcome="miss"), Translations(game.data.parent / "locale"))
    }
    ground = {"de": texts["de"].split(": ")[0], "en": texts["en"].split(": ")[0]}
    assert texts.keys() == {"en", "de"}
    assert texts["en"] == f"{ground['en']}: strikes with the sword and misses. The Ann is one of many."
    assert texts["de"] == f"{ground['de']}: schlägt zu (Schwert) und verfehlt."  # the description is not translated
    assert ground["en"].startswith("Ann ")
    assert ground["de"].startswith("der Ann ")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("core/images/units/Ann/attack-2.png", "no picture 'units/Ann/attack-2.png'"),
        ("core/sounds/sword.wav", "no sound"),
    ],
)
def test_what_is_missing_is_named(file: str, message: str, tmp_path: Path) -> None:
    data = write_game(tmp_path, {"Ann": ""})
    (data / file).unlink()
    with pytest.raises(AvnasError, match=message):
        Game(data).plan(kind=2, exchanges=1)


def test_a_game_without_units_is_refused(tmp_path: Path) -> None:
    data = write_game(tmp_path, {})
    (data / "core/units").mkdir()
    with pytest.raises(AvnasError, match="has no units"):
        read_units(data)
