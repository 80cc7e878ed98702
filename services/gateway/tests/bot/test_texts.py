"""No text is missing, none is unused, and each takes the same values in every language."""

import ast
import shutil
from functools import cache
from pathlib import Path

import pytest
from fluent.syntax import FluentParser, FluentSerializer
from fluent.syntax import ast as fluent_ast
from fluent.syntax.visitor import Visitor

import gateway
from chassis.errors import ConfigurationError
from contracts import catalogue
from gateway.bot import texts
from gateway.bot.commands import COMMANDS
from gateway.main import Gateway
from gateway.settings import Settings

SOURCES = Path(gateway.__file__).parent
CATALOGUE = catalogue.load(Path(__file__).parents[4] / "catalogue")
LANGUAGES = sorted(path.stem for path in texts.FOLDER.glob("*.ftl"))
TOAST_MAX = 200


class References(Visitor):
    def __init__(self):
        self.variables = set()
        self.messages = set()

    def visit_VariableReference(self, node):  # noqa: N802 - the visitor's own naming
        self.variables.add(node.id.name)

    def visit_MessageReference(self, node):  # noqa: N802 - the visitor's own naming
        self.messages.add(node.id.name)


@cache
def entries(language):
    parsed = FluentParser().parse((texts.FOLDER / f"{language}.ftl").read_text(encoding="utf-8"))
    broken = [entry for entry in parsed.body if isinstance(entry, fluent_ast.Junk)]
    assert not broken, FluentSerializer().serialize(parsed)
    messages = [entry for entry in parsed.body if isinstance(entry, fluent_ast.Message)]
    names = [entry.id.name for entry in messages]
    assert len(names) == len(set(names)), "a key is there twice"
    return dict(zip(names, messages, strict=True))


def variables(key, messages):
    found = References()
    found.visit(messages[key])
    nested = [variables(name, messages) for name in found.messages]
    return found.variables.union(*nested)


@cache
def nodes():
    """Everything in the sources."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES.rglob("*.py")]
    return [node for tree in trees for node in ast.walk(tree)]


def said():
    """(key, names of the values) of every `say("key", name=...)` in the sources."""
    for node in nodes():
        is_say = isinstance(node, ast.Call) and (
            getattr(node.func, "id", "") in {"say", "spoken"}
            or getattr(node.func, "attr", "") == "say"
            or (isinstance(node.func, ast.Call) and getattr(node.func.func, "attr", "") == "say")
        )
        if is_say and node.args and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value, {keyword.arg for keyword in node.keywords}


def literals():
    """Every string of the sources: some keys are chosen first and said later."""
    return {
        node.value
        for node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def built():
    """Keys put together from a prefix and a code."""
    yield from (f"command-{name}" for name in COMMANDS)
    yield from (f"tier-{name}" for name in ("vip", "black-gold"))
    yield from (f"lot-{name}" for name in ("trial", "bonus", "paid"))
    kinds = ("hold", "post", "void", "expire", "grant", "trial", "revoke", "other")
    money = ("restore", "adjust", "plan", "gift", "gift-back", "credit-back", "free")
    yield from (f"history-{name}" for name in (*kinds, *money))
    reasons = ("payment", "payment-bonus", "promo", "referral", "newcomer", "gift")
    yield from (f"history-grant-{name}" for name in reasons)
    yield from (f"method-{name}" for name in ("stars", "crypto-pay", "yookassa"))
    states = ("review", "paid", "refunding", "refunded", "charged-back", "rejected")
    yield from (f"charge-state-{name}" for name in states)
    codes = ("too-large", "too-many-pixels", "not-an-image", "animated", "damaged", "unreachable")
    yield from (f"photo-{name}" for name in codes)
    for workflow in CATALOGUE.values():
        yield from (workflow.title_key, workflow.description_key)


def test_english_and_russian_are_there():
    assert {"en", "ru"} <= set(LANGUAGES)
    assert texts.load().languages["ru"] == "Русский"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_missing_in_any_language(language):
    assert set(entries(language)) == set(entries("en"))


def test_no_key_that_is_said_is_missing():
    keys = set(entries("en"))

    assert {key for key, _ in said()} <= keys
    assert set(built()) <= keys


def test_no_key_is_unused():
    assert set(entries("en")) - literals() - set(built()) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_variables_agree_in_every_language(language):
    english, other = entries("en"), entries(language)

    differing = {
        key
        for key in english
        if key != "moment" and variables(key, english) != variables(key, other)
    }

    assert differing == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_a_text_needs_is_given_where_it_is_said(language):
    messages = entries(language)

    lacking = {key: variables(key, messages) - given for key, given in said()}

    assert {key: names for key, names in lacking.items() if names} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_toasts_fit_into_telegrams_limit(language):
    say = texts.load().say(language)
    toasts = [key for key in entries(language) if key.startswith(("toast-", "photo-gone"))]

    declined = [key for key in entries(language) if key.startswith("pre-checkout-")]

    for key in [*toasts, *declined, "try-again", "order-not-placed"]:
        assert len(say(key)) <= TOAST_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_command_descriptions_are_what_telegram_accepts(language):
    say = texts.load().say(language)

    for name in COMMANDS:
        assert 1 <= len(say(f"command-{name}")) <= 256


@pytest.mark.parametrize(
    ("amount", "words"),
    [(1, "1 кредит"), (2, "2 кредита"), (5, "5 кредитов"), (11, "11 кредитов"), (21, "21 кредит")],
)
def test_russian_counts_credits_correctly(amount, words):
    assert texts.load().say("ru")("amount", credits=amount) == words


@pytest.mark.parametrize(
    ("code", "language"),
    [("ru", "ru"), ("ru-RU", "ru"), ("EN-gb", "en"), ("de", "en"), ("", "en"), (None, "en")],
)
def test_the_language_comes_from_telegrams_code(code, language):
    assert texts.load().pick(code) == language


def test_a_missing_text_is_an_error_not_an_empty_message():
    with pytest.raises(texts.TextError):
        texts.load().say("en")("no-such-key")
    with pytest.raises(texts.TextError):
        texts.load().say("en")("price")


def test_a_workflow_brings_its_texts_in_its_own_folder(tmp_path):
    folder = tmp_path / "image.new" / "texts"
    folder.mkdir(parents=True)
    (folder / "en.ftl").write_text("workflow-image-new = New\nworkflow-image-new-about = It is.\n")

    loaded = texts.load(tmp_path)

    assert loaded.say("ru")("workflow-image-new") == "New"


def test_the_catalogue_asks_for_no_text_that_is_missing():
    assert texts.load().missing(CATALOGUE) == []


def test_a_workflow_that_cannot_be_named_stops_the_start(tmp_path):
    folder = Path(__file__).parents[4] / "catalogue" / "image.enhance"
    shutil.copytree(folder, tmp_path / folder.name)
    manifest = tmp_path / folder.name / "manifest.toml"
    nameless = manifest.read_text().replace("workflow-image-enhance-about", "no-such-key")
    manifest.write_text(nameless)
    settings = Settings(bot_token="1:x", database_url="postgresql://", catalogue_dir=tmp_path)

    with pytest.raises(ConfigurationError, match=r"image.enhance: no-such-key \(en\)"):
        Gateway.__new__(Gateway)._wire_shop(settings)
