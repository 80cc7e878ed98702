"""What the pay pages of all providers look like: no script, nothing loaded from elsewhere."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files as package_files

from aiohttp import web

ASSETS = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
# The browser holds the page to it.
POLICY = "default-src 'self'; form-action 'self'; frame-ancestors *"
SIMULATED = {"en": "simulated · no money moves", "ru": "имитация · деньги не движутся"}
FRAME = """<!doctype html>
<html lang="{language}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="icon" href="/assets/icon.svg">
  <link rel="stylesheet" href="/assets/style.css">
</head>
<body>
  <main class="card{wide}">
    <header class="head">
      <img src="/assets/icon.svg" alt="" width="38" height="38">
      <div><strong>{app}</strong><small>{brand} · {simulated}</small></div>
    </header>
    <div class="body">{body}</div>
  </main>
</body>
</html>
"""


class Frame:
    """The frame around every page of one provider, and the files it is drawn with."""

    def __init__(self, package: str, brand: str, app: str) -> None:
        """`package`: its web/icon.svg is shown."""
        self._icon = package_files(package) / "web" / "icon.svg"
        self._brand = brand
        self._app = app

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/assets/{name}", self.asset)]

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in ASSETS:
            raise web.HTTPNotFound
        own = name == "icon.svg"
        source = self._icon if own else package_files("simulators.provider") / "web" / name
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
        text = source.read_text("utf-8")
        return web.Response(text=text, content_type=ASSETS[name], headers=headers)

    def draw(self, language: str, body: str, *, title: str, wide: bool = False) -> str:
        return FRAME.format(
            language=language,
            title=escape(title),
            app=escape(self._app),
            brand=self._brand,
            simulated=SIMULATED[language],
            wide=" wide" if wide else "",
            body=body,
        )


def html(text: str, status: int = 200, *, policy: str = POLICY) -> web.Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def language_of(request: web.Request) -> str:
    """What `?lang=` says, or the first language of the browser that the page knows."""
    wish = request.query.get("lang", "") or request.headers.get("Accept-Language", "")
    for part in wish.lower().split(","):
        language = part.strip()[:2]
        if language in SIMULATED:
            return language
    return "en"


def amount_html(amount: str | None, currency: str | None) -> str:
    return (
        f'<div class="amount" data-testid="amount">{escape(amount or "")} '
        f"<small>{escape(currency or '')}</small></div>"
    )


def about_html(description: str | None) -> str:
    if description is None:
        return ""
    return f'<p class="about" data-testid="description">{escape(description)}</p>'


def status_html(text: str) -> str:
    return f'<p class="about" data-testid="status">{text}</p>'


def table_html(heads: Iterable[str], rows: Iterable[str]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    return f"<table><tr>{top}</tr>{''.join(rows)}</table>"
