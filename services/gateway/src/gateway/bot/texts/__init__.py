"""Every sentence the bot says: one Fluent file per language; adding a file adds a language."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource

from contracts.catalogue import Catalogue
from gateway.domain.screen import Say

FOLDER = Path(__file__).parent
DEFAULT_LANGUAGE = "en"
SENTENCES_KEPT = 4_096
_LANGUAGE_NAME = "language-name"


class TextError(Exception):
    """A text is missing or cannot be put together: a programmer's mistake, found by the tests."""


class FluentTexts:
    """Implements ports.Texts over the Fluent files."""

    def __init__(self, bundles: Mapping[str, FluentBundle]) -> None:
        self._bundles = bundles
        # Putting a sentence together takes Fluent a tenth of a millisecond, a screen has a dozen.
        once = lru_cache(SENTENCES_KEPT, typed=True)(self._format)
        self._say = {language: partial(once, language) for language in bundles}
        self._names = {language: say(_LANGUAGE_NAME) for language, say in self._say.items()}

    @property
    def languages(self) -> Mapping[str, str]:
        return self._names

    def say(self, language: str) -> Say:
        return self._say.get(language, self._say[DEFAULT_LANGUAGE])

    def pick(self, language_code: str | None) -> str:
        """The language for a Telegram `language_code` such as `ru-RU`; else the default one."""
        primary = (language_code or "").lower().partition("-")[0]
        return primary if primary in self._bundles else DEFAULT_LANGUAGE

    def missing(self, catalogue: Catalogue) -> list[str]:
        """Titles and descriptions a catalogue asks for that a language does not have."""
        return [
            f"{workflow.id}: {key} ({language})"
            for workflow in catalogue.values()
            for key in (workflow.title_key, workflow.description_key)
            for language, bundle in self._bundles.items()
            if not bundle.has_message(key)
        ]

    def _format(self, language: str, key: str, /, **values: object) -> str:
        bundle = self._bundles[language]
        if not bundle.has_message(key):
            # A language added by a file of its own may lag behind; the default one never does.
            bundle = self._bundles[DEFAULT_LANGUAGE]
        if not bundle.has_message(key):
            raise TextError(f"no text {key}")
        pattern = bundle.get_message(key).value
        if pattern is None:
            raise TextError(f"the text {key} is empty")
        text, problems = bundle.format_pattern(pattern, values)
        if problems:
            raise TextError(f"the text {key} ({language}): {problems[0]}")
        return str(text)


def load(catalogue_folder: Path | None = None) -> FluentTexts:
    """Read `<language>.ftl` here, and `<workflow>/texts/<language>.ftl` of the catalogue."""
    bundles = {}
    for path in sorted(FOLDER.glob("*.ftl")):
        bundle = FluentBundle([path.stem], use_isolating=False)
        bundle.add_resource(FluentResource(path.read_text(encoding="utf-8")))
        if catalogue_folder is not None:
            for extra in sorted(catalogue_folder.glob(f"*/texts/{path.name}")):
                resource = FluentResource(extra.read_text(encoding="utf-8"))
                bundle.add_resource(resource, allow_overrides=True)
        bundles[path.stem] = bundle
    return FluentTexts(bundles)
