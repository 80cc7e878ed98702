"""The page as HTML: nothing on it is loaded from elsewhere, and it runs no script but its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template

import segno

from vpn.adapters.subscription_page import texts
from vpn.adapters.subscription_page.apps import APPS, PLATFORM_TITLES, PLATFORMS, App, platform_of
from vpn.domain.formats.words import FALLBACK, LANGUAGES, say
from vpn.domain.links import NOTE_GRACE, LinkView, Shop, flag

FOLDER = Path(__file__).parent
TEMPLATE = Template((FOLDER / "page.html").read_text(encoding="utf-8"))
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8").strip()
SCRIPT = (FOLDER / "script.js").read_text(encoding="utf-8").strip()
LINK_SCHEMES = ("https://", "http://", "tg://", "mailto:")
QR_KEPT_MAX = 256
"""Drawing one takes milliseconds, and people reload the page."""

Titles = Mapping[str, Mapping[str, str]]
"""Language -> title key -> what a plan is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who looks: the link they opened and what their browser tells."""

    link: str
    user_agent: str = ""
    accept_language: str = ""
    asked_language: str = ""


def content_security_policy(nonce: str) -> str:
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Draws pages of one shop."""

    shop: Shop
    titles: Titles

    def draw(self, view: LinkView, visit: Visit, now: datetime, *, nonce: str) -> str:
        language = texts.choose_language(visit.asked_language, visit.accept_language, view.language)
        words = texts.TEXTS[language]
        state, notice = _state(view, language, now)
        support = view.support_url or self.shop.support_url
        return TEMPLATE.substitute(
            {f"t_{name}": escape(text) for name, text in words.items()},
            language=language,
            nonce=nonce,
            style=STYLE,
            script=SCRIPT,
            title=escape(self.shop.title),
            languages="".join(_language(each, current=each == language) for each in LANGUAGES),
            state_class={"works": "good", "grace": "warn", "stopped": "bad"}[state],
            state=escape(words[state]),
            notice=f'<p class="notice">{escape(notice)}</p>' if notice else "",
            days=_days(view.days_left(now), language),
            facts="\n".join(self._facts(view, language)),
            traffic=_bar(view, words["traffic"]),
            platforms="\n".join(_platforms(visit, self.shop.title, words)),
            link=escape(visit.link),
            qr=_qr(visit.link),
            nodes="".join(
                f"<li>{escape(f'{flag(each.region)} {each.name}'.strip())}</li>"
                for each in view.nodes
            ),
            support=_support(support, words["support"]),
        )

    def _facts(self, view: LinkView, language: str) -> Iterator[str]:
        words = texts.TEXTS[language]
        by_key = self.titles.get(language) or self.titles.get(FALLBACK) or {}
        if title := by_key.get(view.plan_title_key):
            yield _fact(words["plan"], escape(title))
        shown = f"{view.until:%Y-%m-%d %H:%M} UTC"
        yield _fact(words["until"], f'<time datetime="{view.until.isoformat()}">{shown}</time>')
        used = texts.size(view.used_bytes, language)
        limit = texts.size(view.limit_bytes, language) if view.limit_bytes else words["unlimited"]
        told = f"{used} {words['of']} {limit}" if view.limit_bytes else f"{used}, {limit}"
        yield _fact(words["traffic"], escape(told))


def _state(view: LinkView, language: str, now: datetime) -> tuple[str, str]:
    if reason := view.reason(now):
        return "stopped", say(reason, language)
    note = view.note(now)
    told = say(note, language) if note else ""
    return "grace" if note == NOTE_GRACE else "works", told


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{value}</dd>"


def _days(left: int, language: str) -> str:
    return f'<p class="days">{escape(texts.days(left, language))}</p>' if left else ""


def _bar(view: LinkView, label: str) -> str:
    if not view.limit_bytes:
        return ""
    used = min(view.used_bytes, view.limit_bytes)
    name = escape(label)
    return f'<progress aria-label="{name}" value="{used}" max="{view.limit_bytes}"></progress>'


def _language(language: str, *, current: bool) -> str:
    mark = ' aria-current="true"' if current else ""
    return f'<a href="?lang={language}" hreflang="{language}"{mark}>{language.upper()}</a>'


def _platforms(visit: Visit, title: str, words: Mapping[str, str]) -> Iterator[str]:
    own = platform_of(visit.user_agent)
    for platform in sorted(PLATFORMS, key=lambda each: each != own):
        rows = "".join(_app(app, visit.link, title, words) for app in APPS[platform])
        opened = " open" if platform == own else ""
        yield (
            f'<details name="platform" data-platform="{platform}"{opened}>'
            f"<summary>{escape(PLATFORM_TITLES[platform])}</summary>{rows}</details>"
        )


def _app(app: App, link: str, title: str, words: Mapping[str, str]) -> str:
    name, get, add = escape(app.name), escape(words["get"]), escape(words["add"])
    opens = escape(app.deeplink(link, title))
    return (
        f'<div class="app"><span>{name}</span>'
        f'<a class="button" href="{escape(app.get)}" rel="noreferrer noopener" target="_blank" '
        f'aria-label="{get}: {name}">{get}</a>'
        f'<a class="button strong" href="{opens}" aria-label="{add}: {name}">{add}</a></div>'
    )


def _support(url: str, label: str) -> str:
    if not url.startswith(LINK_SCHEMES):
        return ""
    return (
        f'<a class="button wide" href="{escape(url)}" rel="noreferrer noopener">{escape(label)}</a>'
    )


@lru_cache(maxsize=QR_KEPT_MAX)
def _qr(link: str) -> str:
    drawn: str = segno.make_qr(link, error="m").svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True
    )
    return drawn
