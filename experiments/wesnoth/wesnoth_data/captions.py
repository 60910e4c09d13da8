"""Captions of clips in several languages: who does what on which ground, and who that is."""

import gettext
import json
import re
from pathlib import Path
from typing import Any

from avhash_nas.data.captions import Caption
from wesnoth_data.clip import Clip, Part

PHRASES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("phrases.json").read_text(encoding="utf-8"))
"""Language -> words for actions and grounds."""
_DOMAINS = ("wesnoth-units", "wesnoth-help", "wesnoth")
_SENTENCE = re.compile("(?:.*?[.!?](?=\\s|$))|(?:.*?[\u3002\uff01\uff1f])", re.DOTALL)


class Translations:
    """The game's own translations of names and descriptions.

    Args:
        locale: The game's folder `locale`, with a folder for each language.
    """

    def __init__(self, locale: Path) -> None:
        self._catalogs: dict[str, list[gettext.NullTranslations]] = {}
        for language in PHRASES:
            paths = [locale / language / "LC_MESSAGES" / f"{domain}.mo" for domain in _DOMAINS]
            self._catalogs[language] = [_read(path) for path in paths if path.exists()]

    def text(self, english: str, language: str) -> str | None:
        """A text in a language; None if it is not translated. What stands before `^` is for translators only."""
        if language == "en":
            return english.rpartition("^")[2]
        for catalog in self._catalogs[language]:
            found = catalog.gettext(english) if english else ""
            if found and found != english:
                return found.rpartition("^")[2]
        return None


def _read(path: Path) -> gettext.NullTranslations:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)


def captions(clip: Clip, translations: Translations) -> list[Caption]:
    """A caption in each language that has names for the unit and its weapons; always one in English.

    The description is the first sentence of the game's own, where that is translated.
    """
    found = []
    for language, phrases in PHRASES.items():
        name = translations.text(clip.unit.name, language)
        actions = [_action(part, language, phrases, translations) for part in clip.parts]
        if name and all(actions):
            description = translations.text(clip.unit.description, language) if clip.unit.description else None
            text = phrases["caption"].format(
                name=name,
                ground=phrases["grounds"][clip.ground],
                actions=phrases["then"].join(filter(None, actions)),
                description=first_sentence(description or ""),
            )
            found.append(Caption(clip.id, text.strip(), language))
    return found


def _action(part: Part, language: str, phrases: dict[str, Any], translations: Translations) -> str | None:
    if part.attack is None:
        return str(phrases.get(f"{part.kind}_{part.outcome}", phrases[part.kind]))
    weapon = translations.text(part.attack.description or part.attack.name, language)
    outcome = phrases[part.outcome] if part.outcome else ""
    return phrases["attack"].format(verb=phrases[part.kind], weapon=weapon, outcome=outcome) if weapon else None


def first_sentence(text: str) -> str:
    """The first sentence, on one line.

    >>> first_sentence("Elves live 2.5 times as long. They sing.")
    'Elves live 2.5 times as long.'
    """
    text = " ".join(text.split())
    match = _SENTENCE.match(text)
    return match[0] if match else text
