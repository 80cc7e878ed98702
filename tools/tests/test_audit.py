"""The audit asks pip-audit's own questions of a stand-in for the registry, over a real socket."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chassis.authority import SERVER, Authority
from vitrine_tools import audit, checks
from vitrine_tools.audit import Agreed

HOLE = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0.1"]}
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "2.0", "vulns": [HOLE]}
LIVED_WITH = Agreed("we never call it", date.max)
NAME, VERSION, KNOWN = audit.CANARY
ADVISORY = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["2.1"], "summary": "a hole"}
CANARY = {(NAME, VERSION): [{**ADVISORY, "aliases": [KNOWN]}]}
Advisories = Mapping[tuple[str, str], list[dict[str, Any]] | None]
"""By package and version; None: the connection ends without an answer."""
LOUD = "AUDIT: NOTHING WAS AUDITED"


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
    monkeypatch.setattr(audit, "AGREED", {("holed", name): LIVED_WITH})

    assert audit.judged([HOLED]) == ([], [])


def test_an_agreement_that_is_needed_no_longer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AGREED", {("safe", "CVE-2026-1"): LIVED_WITH})

    assert audit.judged([SAFE]) == ([], ["safe: CVE-2026-1 is agreed to, and gone"])


def test_what_could_not_be_asked_about_is_no_safe_version() -> None:
    unknown = {"name": "unknown", "version": "1", "skip_reason": "not found"}

    assert audit.judged([SAFE, unknown])[0] == ["unknown: not audited, not found"]


def test_every_lock_is_asked_about_and_no_version_twice() -> None:
    lists = audit.locked(audit.ROOT)

    asked = [pin for pins in lists for pin in pins]
    assert len(asked) == len(set(asked)) > 150
    assert all(len({pin.name for pin in pins}) == len(pins) for pins in lists)
    for lock in ("requirements.lock", "requirements-checks.lock", "requirements/billing.lock"):
        lines = (audit.ROOT / lock).read_text().splitlines()
        pins = {line.split()[0] for line in lines if line[:1].isalnum()}
        assert pins <= {f"{pin.name}=={pin.version}" for pin in asked}


class Registry(ThreadingHTTPServer):
    """Says what it knows in the registry's own JSON, under every name, to who comes by a proxy."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.knows: Advisories | None = None
        """None: no package at all."""
        self.asked: list[tuple[str, str]] = []
        self._folder = folder
        self._authority = Authority.new("stand-in", datetime.now(UTC), timedelta(hours=1))
        self.believed = folder / "authority.pem"
        self.believed.write_bytes(self._authority.certificate)

    def tls_as(self, name: str) -> ssl.SSLContext:
        lifetime = timedelta(minutes=10)
        issued = self._authority.issue(name, (name,), [SERVER], datetime.now(UTC), lifetime)
        file = self._folder / f"{name}.pem"
        file.write_bytes(issued.certificate + issued.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


class _Connection(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        tls = self.server.tls_as(self.path.partition(":")[0])
        self.connection = self.request = tls.wrap_socket(self.connection, server_side=True)
        self.setup()
        # Also of clients that ask in HTTP/1.0, as Python's do.
        self.close_connection = False

    def do_GET(self) -> None:
        _, _, name, version, _ = self.path.split("/")
        self.server.asked.append((name, version))
        known = self.server.knows
        found = [] if known is None else known.get((name, version), [])
        if found is None:
            self.close_connection = True
            return
        body = json.dumps({"vulnerabilities": found}).encode()
        self.send_response(404 if known is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Whoever wants to know reads `asked`."""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """What answers pip-audit's default questions about the two packages of a lock."""
    checks.program("pip-audit")  # before the stand-in is the only registry there is
    (tmp_path / "requirements.lock").write_text("holed==2.0 \\\n    --hash=sha256:0\nsafe==1.0\n")
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    # What else this machine does is no verdict on the stand-in.
    monkeypatch.setattr(audit, "CANARY_SECONDS_MAX", 100.0)
    monkeypatch.setattr(audit, "ANSWER_SECONDS_MAX", 60)
    with Registry(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.believed))
        for name in ("NO_PROXY", "no_proxy", "https_proxy", "VITRINE_AUDIT"):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.shutdown()


def test_without_a_hole_it_passes(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.knows = CANARY

    assert audit.main() == 0

    assert registry.asked == [(NAME, VERSION), ("holed", "2.0"), ("safe", "1.0")]
    assert capsys.readouterr().out == "audit: 2 versions, 0 hole(s), 0 agreed to\n"


def test_a_hole_fails_the_build(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.knows = {**CANARY, ("holed", "2.0"): [ADVISORY]}

    assert audit.main() == 1

    assert "holed 2.0: PYSEC-1, fixed by 2.1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "knows", [None, {}, {(NAME, VERSION): [ADVISORY]}, {(NAME, VERSION): None}]
)
def test_who_does_not_know_what_everybody_knows_has_audited_nothing(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    knows: Advisories | None,
) -> None:
    """As where the registry serves files alone, or none of its advisories is about our canary."""
    registry.knows = knows
    if knows is None:
        monkeypatch.setenv(*audit.REQUIRE)

    assert audit.main() == (2 if knows is None else 0)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(LOUD)
    assert said.err.count("\n") == 1
    assert registry.asked == [(NAME, VERSION)]


def test_half_an_audit_is_none(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.knows = {**CANARY, ("holed", "2.0"): [ADVISORY], ("safe", "1.0"): None}

    assert audit.main() == 0

    assert capsys.readouterr().err.startswith(LOUD)


def test_what_was_agreed_to_for_a_while_fails_the_build_afterwards(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.knows = {**CANARY, ("holed", "2.0"): [ADVISORY]}
    today = datetime.now(UTC).date()
    agreed = {("holed", "CVE-1"): Agreed("no fix yet", today)}
    monkeypatch.setattr(audit, "AGREED", agreed)

    assert audit.main() == 0

    yesterday = today - timedelta(days=1)
    monkeypatch.setattr(audit, "AGREED", {("holed", "CVE-1"): Agreed("no fix yet", yesterday)})
    # Whether somebody answers or not.
    registry.shutdown()
    assert audit.main() == 1
    assert f"holed: CVE-1 was agreed to until {yesterday} (no fix yet)" in capsys.readouterr().out
