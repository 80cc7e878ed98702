"""Which licences are agreed to, and that the check sees what is not."""

import pytest

from vitrine_tools import licences

SHIPPED = licences.pinned(*licences.SHIPPED.glob("*.lock"))
LOCKED = licences.pinned(licences.LOCK)


def test_every_installed_licence_is_allowed() -> None:
    assert len(LOCKED) > 100
    assert list(licences.problems(LOCKED, SHIPPED)) == []


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
        ("MIT AND (GPL-2.0-only OR LGPL-3.0-only)", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("LicenseRef-Proprietary", False),
    ],
)
def test_an_expression_is_a_choice_or_a_burden(expression: str, *, fine: bool) -> None:
    assert licences.allowed(expression) is fine


@pytest.mark.parametrize("expression", ["", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT ISC"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="^" + expression.replace("(", r"\(").replace(")", r"\)")):
        licences.allowed(expression)


def test_a_licence_nobody_agreed_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(licences.EXCEPTIONS, "yamllint")
    monkeypatch.setattr(licences, "licence_of", lambda found: _licence(found, idna=""))

    told = list(licences.problems(LOCKED, SHIPPED))

    assert told == [
        "idna is under a licence nobody knows, which nobody has agreed to",
        "yamllint is under GPL-3.0-or-later, which nobody has agreed to",
    ]


def test_what_only_checks_may_use_is_told_once_it_is_in_an_image() -> None:
    told = list(licences.problems(LOCKED, SHIPPED | {"yamllint"}))

    assert told == [
        "yamllint is under GPL-3.0-or-later and in an image, its exception is for checks alone"
    ]


def test_a_library_inside_a_wheel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(licences.INSIDE, ("av", "libx264"))

    told = list(licences.problems(LOCKED, SHIPPED))

    assert told == ["av brings libx264, which is under the GPL, into an image"]


def test_an_exception_that_is_needed_no_longer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    needless = licences.Agreed("MPL-2.0", "a reason of former times")
    monkeypatch.setitem(licences.EXCEPTIONS, "idna", needless)
    monkeypatch.setitem(licences.EXCEPTIONS, "long-gone", needless)
    monkeypatch.setitem(licences.INSIDE, ("av", "libxvidcore"), "the same")

    told = list(licences.problems(LOCKED, SHIPPED))

    assert [each.partition(" ")[0] for each in told] == ["av", "idna", "long-gone"]


def test_what_is_locked_and_not_installed_is_told() -> None:
    told = list(licences.problems(LOCKED | {"not-there"}, SHIPPED))

    assert told == ["not-there is locked and not installed: nobody can read its licence"]


REAL = licences.licence_of


def _licence(found, **instead: str) -> str:
    return instead.get(found.metadata["Name"], REAL(found))
