"""The game's markup: macros, tags, progressions, and the animations that they state."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wesnoth_data.animation import Script, build, resolved
from wesnoth_data.preprocessor import Preprocessor
from wesnoth_data.progression import expand, steps
from wesnoth_data.wml import Node, parse

from avhash_nas.errors import AvnasError


def preprocess(folder: Path, text: str) -> str:
    (folder / "main.cfg").write_text(text)
    return Preprocessor(folder).include(folder / "main.cfg").strip()


def test_macros_are_replaced_with_their_arguments(tmp_path: Path) -> None:
    text = """
#define A X Y
{X}-{Y}#enddef
#define B X
#arg Z
{X}!
#endarg
<{X} {Z}>
#enddef
#define QUOTED PATH
image="{PATH}.png"#enddef
{A 1 (2 (3))} {A "q r" {A 3 4}} # {NOTHING}
{B u}{B v Z=w}
{QUOTED units/a}
"#kept {A 5 6}" << {raw} >>
"""
    out = preprocess(tmp_path, text)
    assert out.split("\n")[0] == '1-2 (3) "q r"-3-4 '
    assert "<u u!>" in out.replace("\n", "")
    assert "<v w>" in out.replace("\n", "")
    assert 'image="units/a.png"' in out
    assert out.endswith('"#kept 5-6" << {raw} >>')


def test_a_macro_may_be_defined_anew_by_the_next_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "units").mkdir(exist_ok=True)
        (tmp_path / "units" / f"{name}.cfg").write_text(f"#define P\n{name}/#enddef\nx={{P}}\n")
    assert preprocess(tmp_path, "{units/}").split() == ["x=a/", "x=b/"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("#ifdef A\nyes\n#else\nno\n#endif", "no"),
        ("#define A\n#enddef\n#ifdef A\nyes\n#else\nno\n#endif", "yes"),
        ("#ifndef A\nyes\n#ifdef A\nno\n#else\nand\n#endif\n#else\nno\n#endif", "yes and"),
        ("#define A\n#enddef\n#undef A\n#ifdef A\nno\n#endif\nend", "end"),
    ],
)
def test_conditions_choose_text(text: str, kept: str, tmp_path: Path) -> None:
    assert preprocess(tmp_path, text).split() == kept.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{NOTHING}", "neither a macro nor a file"),
        ("{../secret}", "neither a macro nor a file"),
        ("#define A X\n{X}#enddef\n{A}", "takes 1 arguments; 0 are given"),
        ("#define A X\n{X}#enddef\n{A 1 2}", "is one more"),
        ("{A", "not closed"),
        ("#ifdef A\n", "no #endif"),
        ("#define A\n{A}#enddef\n{A}", "without end"),
    ],
)
def test_malformed_text_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AvnasError, match=message) as error:
        preprocess(tmp_path, text)
    assert "main.cfg" in str(error.value)


def test_tags_become_a_tree() -> None:
    root = parse(
        'a=1\n[x]\nb, c = 2, 3,4\nd= _ "one ""two""" + _ "\nthree"\ne="p"-q-"r":5\n[y]\n[/y]\n[/x]\n[+x]\n[/x]\n'
    )
    assert root.attributes == {"a": "1"}
    x, again = root.all("x")
    assert x.attributes == {"b": "2", "c": "3,4", "d": 'one "two"\nthree', "e": "p-q-r:5"}
    assert [child.name for child in x.children] == ["y"]
    assert not again.children


@pytest.mark.parametrize("text", ["[a]\n", "[a]\n[/b]\n", "[/a]\n", "a word\n", 'a="open\n'])
def test_a_malformed_tree_is_refused(text: str) -> None:
    with pytest.raises(AvnasError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a", ["a"]),
        ("a[08~10].png:[1*2,30]", ["a08.png:1", "a09.png:1", "a10.png:30"]),
        ("a[2~1,5].png~O(1,2):7,b", ["a2.png~O(1,2):7", "a1.png~O(1,2):7", "a5.png~O(1,2):7", "b"]),
        ("x[1,2]", ["x1", "x2"]),
    ],
)
def test_lists_in_brackets_are_written_out(text: str, items: list[str]) -> None:
    assert list(expand(text)) == items


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(AvnasError, match="3 and 2 items"):
        expand("a[1~3]:[1,2]")


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6), st.floats(-10, 4000))
def test_numbers_run_from_one_value_to_the_next(durations: list[int], time: float) -> None:
    text = ",".join(f"{i}~{i + 1}:{duration}" for i, duration in enumerate(durations))
    found = steps(text, 0)
    assert found.length == sum(durations)
    passed, place = time, 0.0
    for duration in durations:
        place += min(max(passed, 0), duration) / duration
        passed -= duration
    assert found.number(time) == pytest.approx(place)


def test_items_without_duration_share_the_rest() -> None:
    assert steps("a:100,b,c", 400).durations == (100, 150, 150)
    assert steps("0~1", 250).number(125) == 0.5


ANIMATION = """
[attack_anim]
    start_time=-200
    missile_start_time=-50
    missile_offset=0~0.8
    [if]
        direction=n,ne,nw
        [frame]
            image="back-[1~2].png:100"
        [/frame]
    [/if]
    [else]
        [frame]
            image="front.png:300"
            sound="a.wav,b[1~2].wav"
        [/frame]
    [/else]
    [missile_frame]
        duration=100
        image="arrow.png"
    [/missile_frame]
    [if]
        hits=yes
        [missile_frame]
            duration=60
            halo="burst.png"
            offset=1.0
        [/missile_frame]
    [/if]
[/attack_anim]
"""


def test_branches_follow_facing_and_outcome() -> None:
    node = parse(ANIMATION).children[0]
    north = build(resolved(node, "ne", "miss"))
    south = build(resolved(node, "s", "hit"))
    assert north is not None
    assert south is not None
    assert north.pictures() == {"back-1.png", "back-2.png", "arrow.png"}
    assert south.pictures() == {"front.png", "arrow.png", "burst.png"}
    assert (north.start, north.end) == (-200, 50)
    assert (south.start, south.end) == (-200, 110)
    assert south.sounds() == [(-200, ("a.wav", "b1.wav", "b2.wav"))]


def test_each_track_has_its_own_clock_and_values() -> None:
    animation = build(resolved(parse(ANIMATION).children[0], "s", "hit"))
    assert animation is not None
    missile = next(track for track in animation.tracks if track.name == "missile")
    assert missile.frame(-51) is None
    flying, burst = missile.frame(-50), missile.frame(55)
    assert flying is not None
    assert burst is not None
    assert missile.number(flying, "offset", 30) == pytest.approx(0.8 * 80 / 160)
    assert missile.number(burst, "offset", 55) == 1.0
    assert missile.number(burst, "alpha", 55) is None
    assert flying.flips == (True, True)


def test_an_animation_for_another_facing_does_not_fit() -> None:
    node = Node("defend", {"direction": "n", "hits": "miss"}, [Node("frame", {"image": "a.png:5"})])
    script = Script((node,))
    assert len(script.animations("n", "miss")) == 1
    assert script.animations("n", "hit") == script.animations("s", "miss") == []
