"""What is made of pip-audit's answer; the answer itself needs a registry that has advisories."""

import pytest

from vitrine_tools import audit

HOLE = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0.1"]}
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "2.0", "vulns": [HOLE]}


def test_versions_without_a_known_hole_are_fine() -> None:
    assert audit.judged([SAFE]) == ([], [])


def test_a_hole_nobody_agreed_to_is_told_with_its_fix() -> None:
    assert audit.judged([SAFE, HOLED]) == (["holed 2.0: PYSEC-2026-1, fixed by 2.0.1"], [])


def test_a_hole_without_a_fix_is_told_too() -> None:
    open_still = {**HOLED, "vulns": [{**HOLE, "fix_versions": []}]}

    assert audit.judged([open_still])[0] == ["holed 2.0: PYSEC-2026-1, fixed by nothing yet"]


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_a_hole_agreed_to_under_either_name_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(audit, "AGREED", {("holed", name): "we never call it"})

    assert audit.judged([HOLED]) == ([], [])


def test_an_agreement_that_is_needed_no_longer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AGREED", {("safe", "CVE-2026-1"): "we never call it"})

    assert audit.judged([SAFE]) == ([], ["safe: CVE-2026-1 is agreed to, and gone"])


def test_what_could_not_be_asked_about_is_no_safe_version() -> None:
    unknown = {"name": "unknown", "version": "1", "skip_reason": "not found"}

    assert audit.judged([SAFE, unknown])[0] == ["unknown: not audited, not found"]


def test_no_answer_is_not_taken_for_a_good_one(monkeypatch, tmp_path) -> None:
    """As where the registry serves files alone."""
    answer = '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}'
    silent = tmp_path / "pip-audit"
    silent.write_text(f"#!/bin/sh\necho '{answer}'\n")
    silent.chmod(0o755)
    monkeypatch.setattr(audit, "program", lambda _: silent)

    assert audit.main() == 2
