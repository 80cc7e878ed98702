"""A link's body in one of the formats that apps read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vpn.domain.formats import clash, sing_box, vless, xray
from vpn.domain.formats.clients import Format
from vpn.domain.formats.entries import entries
from vpn.domain.links import LinkView, Shop

KNOWS: Final = {
    Format.BASE64: vless.KNOWS,
    Format.LINKS: vless.KNOWS,
    Format.CLASH_META: clash.META_KNOWS,
    Format.STASH: clash.STASH_KNOWS,
    Format.CLASH: clash.CLASH_KNOWS,
    Format.SING_BOX: sing_box.KNOWS,
    Format.XRAY: xray.KNOWS,
}
TEXT: Final = "text/plain"
YAML: Final = "text/yaml"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Body:
    text: str
    content_type: str


def render(kind: Format, view: LinkView, shop: Shop, now: datetime) -> Body:
    """Every format but the page, which is not for apps."""
    group = clash.group_name(shop.title)
    listed = entries(view, now, networks=KNOWS[kind], reserved=(group,))
    if kind is Format.BASE64:
        return Body(vless.in_base64(listed), TEXT)
    if kind is Format.LINKS:
        return Body(vless.links(listed), TEXT)
    if kind is Format.SING_BOX:
        return Body(sing_box.config(listed), JSON)
    if kind is Format.XRAY:
        return Body(xray.configs(listed), JSON)
    return Body(clash.config(listed, group=group), YAML)
