"""A game of a few units, made here, in the folders and the markup of Battle for Wesnoth."""

import io
import random
import struct
from pathlib import Path

from experiments.debian import wav

ROOT = "usr/share/games/wesnoth/1.16"
MACROS = """
#define DEFENSE IMAGE BASE SOUND
    # a comment with "one quote
    [defend]
        start_time=-100
        [frame]
            image={BASE}:1,{IMAGE}:250,{BASE}:1
        [/frame]
        [if]
            hits=hit
            hit_sound_start_time=-25
            [hit_sound_frame]
                sound={SOUND}
            [/hit_sound_frame]
        [/if]
    [/defend]
#enddef
"""
UNIT = """
#textdomain wesnoth-units
#define PATH
units/NAME/#enddef
[unit_type]
    id=NAME
    name= _ "NAME"
    race=RACE
    image="{PATH}stand.png"
    advances_to=NEXT
    die_sound=die-[1~2].wav
    description= _ "The NAME is one of " + _ "many. It fights."
    {DEFENSE "units/NAME/defend.png" "units/NAME/stand.png" {HIT_SOUND} }
    [attack]
        name=sword
        description= _ "sword"
        type=blade
        range=melee
    [/attack]
    [attack]
        name=bow
        description= _ "bow"
        type=pierce
        range=ranged
    [/attack]
    [attack_anim]
        [filter_attack]
            name=sword
        [/filter_attack]
        start_time=-200
        sound_start_time=-100
        [frame]
            image="{PATH}attack-[1~2].png:[100,200]"
        [/frame]
        [if]
            hits=yes
            [sound_frame]
                sound=sword.wav
            [/sound_frame]
        [/if]
        [else]
            hits=no
            [sound_frame]
                sound=miss-1.wav
            [/sound_frame]
        [/else]
    [/attack_anim]
    [attack_anim]
        [filter_attack]
            range=ranged
        [/filter_attack]
        start_time=-300
        missile_start_time=-150
        [missile_frame]
            duration=150
            image="projectiles/arrow-n.png"
            image_diagonal="projectiles/arrow-ne.png"
        [/missile_frame]
        [frame]
            image="{PATH}attack-[2,1].png:150"
        [/frame]
    [/attack_anim]
    [idle_anim]
        [frame]
            image="{PATH}attack-1.png:300,{PATH}stand.png:200"
        [/frame]
    [/idle_anim]
[/unit_type]
"""


def game(names: dict[str, str], changed: dict[str, str] | None = None) -> dict[str, bytes]:
    """Files of the game, by their paths in a Debian package.

    Args:
        names: Unit -> the unit that it can become, or nothing.
        changed: Unit -> another text of its file.
    """
    core = f"{ROOT}/data/core"
    units = "[units]\n#define HIT_SOUND\nhit-1.wav,hit-2.wav#enddef\n    {core/units/}\n[/units]\n"
    files = {f"{core}/macros/animation.cfg": MACROS.encode(), f"{core}/units.cfg": units.encode()}
    for name, following in names.items():
        text = (changed or {}).get(name, UNIT)
        for key, value in {"NAME": name, "NEXT": following or "null", "RACE": "folk"}.items():
            text = text.replace(key, value)
        files[f"{core}/units/{name}.cfg"] = text.encode()
        for picture in ("stand", "defend", "attack-1", "attack-2"):
            files[f"{core}/images/units/{name}/{picture}.png"] = png(f"{name} {picture}", 40)
    files |= {f"{core}/images/projectiles/arrow-{way}.png": png(way, 20) for way in ("n", "ne")}
    grounds = ("grass/green", "grass/dry", "flat/dirt", "sand/beach", "frozen/snow", "frozen/ice", "cave/floor")
    files |= {f"{core}/images/terrain/{name}.png": png(name, 72) for name in (*grounds, "interior/stone-regular")}
    sounds = ("die-1", "die-2", "hit-1", "hit-2", "sword", "miss-1")
    files |= {f"{core}/sounds/{name}.wav": wav(0.2, 300 + 100 * i) for i, name in enumerate(sounds)}
    german = {name: f"der {name}" for name in names} | {"sword": "Schwert", "bow": "Bogen"}
    files[f"{ROOT}/locale/de/LC_MESSAGES/wesnoth-units.mo"] = mo(german)
    return files


def write_game(out: Path, names: dict[str, str], changed: dict[str, str] | None = None) -> Path:
    """Writes the files of the game; returns its folder `data`."""
    for name, content in game(names, changed).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    return out / ROOT / "data"


def png(seed: str, side: int) -> bytes:
    """A picture of random opaque colors, with one transparent corner."""
    from PIL import Image

    rng = random.Random(seed)
    picture = Image.frombytes("RGBA", (5, 5), bytes(255 if i % 4 == 3 else rng.randrange(256) for i in range(100)))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    file = io.BytesIO()
    picture.resize((side, side), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def mo(texts: dict[str, str]) -> bytes:
    """A compiled catalog of gettext: a table of originals and one of translations, sorted by the originals."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n"} | texts
    strings = [text.encode() for pair in (sorted(texts), [texts[key] for key in sorted(texts)]) for text in pair]
    at = 28 + 8 * len(strings)
    table = b""
    for string in strings:
        table += struct.pack("<II", len(string), at)
        at += len(string) + 1
    head = struct.pack("<7I", 0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 0)
    return head + table + b"".join(string + b"\0" for string in strings)
