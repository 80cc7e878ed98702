"""The pages around the shop: welcome, menu, help, terms, languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contracts.catalogue import Workflow
from contracts.money import Credits
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenHistory, OpenPage, SetLanguage, pack
from gateway.domain.screen import Button, Say, Screen

Rows = tuple[tuple[Button, ...], ...]


def menu_rows(say: Say) -> Rows:
    return (
        (_page(say, "button-photo", callbacks.PHOTO),),
        (
            _page(say, "button-balance", callbacks.BALANCE),
            Button(say("button-history"), pack(OpenHistory())),
        ),
        (
            _page(say, "button-top-up", callbacks.TOP_UP),
            _page(say, "button-plans", callbacks.VIP),
        ),
        (_page(say, "button-vpn", callbacks.VPN),),
        (
            _page(say, "button-draw", callbacks.DRAW),
            _page(say, "button-promo", callbacks.PROMO),
        ),
        (
            _page(say, "button-gift", callbacks.GIFT),
            _page(say, "button-invite", callbacks.INVITE),
        ),
        (
            _page(say, "button-orders", callbacks.ORDERS),
            _page(say, "button-language", callbacks.LANGUAGE),
        ),
        (
            _page(say, "button-zone", callbacks.ZONE),
            _page(say, "button-help", callbacks.HELP),
        ),
    )


def menu_button(say: Say, *, fresh: bool = False) -> Button:
    return Button(say("button-menu"), pack(OpenPage(callbacks.HOME, fresh=fresh)))


def welcome(say: Say) -> Screen:
    return Screen(text=say("welcome"), buttons=menu_rows(say))


def home(say: Say) -> Screen:
    return Screen(text=say("menu"), buttons=menu_rows(say))


def photo_wanted(say: Say, workflows: Iterable[Workflow]) -> Screen:
    """What can be made of a photo; also the answer to text where a photo is expected."""
    return Screen(
        text="\n\n".join([say("send-photo"), *_offers(say, workflows)]),
        buttons=((menu_button(say),),),
    )


def help_page(say: Say, workflows: Iterable[Workflow]) -> Screen:
    return Screen(
        text="\n\n".join([say("help"), *_offers(say, workflows), say("help-commands")]),
        buttons=((menu_button(say),),),
    )


def page(say: Say, key: str) -> Screen:
    """A plain answer with the way back to the menu."""
    return Screen(text=say(key), buttons=((menu_button(say),),))


def languages(say: Say, names: Mapping[str, str]) -> Screen:
    """`names`: each language's own name by its code."""
    rows = tuple((Button(name, pack(SetLanguage(code))),) for code, name in names.items())
    return Screen(text=say("language-choose"), buttons=(*rows, (menu_button(say),)))


def trial_opened(say: Say, amount: Credits) -> Screen:
    return Screen(
        text=say("trial-opened", credits=amount),
        buttons=((Button(say("button-photo"), pack(OpenPage(callbacks.PHOTO, fresh=True))),),),
    )


def price_line(say: Say, workflow: Workflow) -> str:
    """The list price; what this person pays is asked of billing when a photo is there."""
    if workflow.price_credits:
        return say("amount", credits=workflow.price_credits)
    if workflow.free_per_day:
        return say("free-per-day", count=workflow.free_per_day)
    return say("free")


def _offers(say: Say, workflows: Iterable[Workflow]) -> list[str]:
    return [
        say(
            "offer",
            title=say(workflow.title_key),
            price=price_line(say, workflow),
            about=say(workflow.description_key),
        )
        for workflow in workflows
    ]


def _page(say: Say, key: str, name: str) -> Button:
    return Button(say(key), pack(OpenPage(name)))
