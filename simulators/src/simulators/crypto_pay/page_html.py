"""The HTML of the pay page: works without a script and loads nothing from elsewhere."""

from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from itertools import islice

from simulators.crypto_pay.core import Core
from simulators.crypto_pay.invoices import Invoice
from simulators.crypto_pay.payments import accepted, quote
from simulators.crypto_pay.texts import TEXTS
from simulators.provider.money import plain
from simulators.provider.page import Frame, about_html, amount_html, status_html, table_html

LIST_MAX = 50
OPTION = """
<label data-testid="asset-{code}">
  <input type="radio" name="asset" value="{code}"{checked}>
  <strong>{name}<small>{code}</small></strong>
  <output>{amount} {code}</output>
</label>"""


def pay_page(
    core: Core, invoice: Invoice, language: str, *, user: str = "", wrong: str = ""
) -> str:
    if invoice.status == "paid":
        return paid(invoice, language)
    if invoice.status == "expired":
        return expired(invoice, language)
    return open_invoice(core, invoice, language, user=user, wrong=wrong)


def price(invoice: Invoice) -> str:
    return f"{invoice.amount} {invoice.asset or invoice.fiat}"


def open_invoice(core: Core, invoice: Invoice, language: str, *, user: str, wrong: str) -> str:
    texts = TEXTS[language]
    amount = amount_html(invoice.amount, invoice.asset or invoice.fiat)
    top = f'<div class="center">{amount}{about_html(invoice.description)}</div>'
    if wrong:
        top += f'<p class="wrong" data-testid="wrong">{escape(wrong)}</p>'
    assets = accepted(core, invoice)
    if not assets:
        return f'{top}<p class="wrong" data-testid="status">{texts["no_rate"]}</p>'
    rows = "".join(
        OPTION.format(
            code=code,
            name=escape(core.assets[code].name),
            amount=plain(quote(core, invoice, code) or Decimal(0)),
            checked=" checked" if code == assets[0] else "",
        )
        for code in assets
    )
    parts = [f'<fieldset class="assets"><legend>{texts["pay_with"]}</legend>{rows}</fieldset>']
    if invoice.allow_comments:
        parts.append(
            '<textarea class="comment" name="comment" rows="1" maxlength="1024" '
            f'data-testid="comment" placeholder="{texts["comment"]}"></textarea>'
        )
    if invoice.allow_anonymous:
        parts.append(
            '<label class="check"><input type="checkbox" name="anonymous" value="1" '
            f'data-testid="anonymous">{texts["anonymous"]}</label>'
        )
    if user:
        parts.append(f'<input type="hidden" name="user" value="{escape(user)}">')
    parts.append(f'<button class="primary" data-testid="pay">{texts["pay"]}</button>')
    if invoice.expires_at is not None:
        until = datetime.fromtimestamp(invoice.expires_at, UTC).strftime("%d.%m.%Y %H:%M UTC")
        parts.append(f'<p class="soft center">{texts["valid_until"].format(until)}</p>')
    return f'{top}<form method="post">{"".join(parts)}</form>'


def paid(invoice: Invoice, language: str) -> str:
    texts = TEXTS[language]
    parts = [
        '<div class="mark">✓</div>',
        amount_html(invoice.paid_amount, invoice.paid_asset),
        status_html(texts["paid"]),
        about_html(invoice.description),
    ]
    if invoice.hidden_message is not None:
        shown = escape(invoice.hidden_message)
        parts.append(f'<p class="message" data-testid="hidden-message">{shown}</p>')
    if invoice.paid_btn_name is not None and invoice.paid_btn_url is not None:
        parts.append(
            f'<a class="primary" data-testid="back" href="{escape(invoice.paid_btn_url)}">'
            f"{texts[invoice.paid_btn_name]}</a>"
        )
    return f'<div class="center">{"".join(parts)}</div>'


def expired(invoice: Invoice, language: str) -> str:
    return (
        '<div class="center"><div class="mark expired">✕</div>'
        f"{amount_html(invoice.amount, invoice.asset or invoice.fiat)}"
        f"{status_html(TEXTS[language]['expired'])}"
        f"{about_html(invoice.description)}</div>"
    )


def missing(frame: Frame, language: str) -> str:
    text = TEXTS[language]["missing"]
    return frame.draw(language, f'<div class="center">{status_html(text)}</div>', title=text)


def list_page(core: Core, frame: Frame) -> str:
    """The newest invoices, for a person who looks what the simulator is doing."""
    rows = (
        f'<tr><td><a href="/pay/{invoice.hash}">{invoice.invoice_id}</a></td>'
        f"<td>{escape(price(invoice))}</td><td>{invoice.status}</td>"
        f"<td>{escape(invoice.description or '')}</td></tr>"
        for invoice in islice(core.invoices.newest_first(), LIST_MAX)
    )
    sender = core.webhooks
    state = "on" if sender.enabled else f"off: {sender.disabled_reason or 'no address'}"
    table = table_html(("Invoice", "Amount", "Status", "What for"), rows)
    body = f'<p class="soft">Webhooks: {escape(state)}</p>{table}'
    return frame.draw("en", body, title="Crypto Pay · simulated", wide=True)
