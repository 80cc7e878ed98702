"""Signed messages: whose signature stands under one, and whether that party may have sent it.

Many messages of one publish share a signature, for it costs fifty times what a hash does: the root
of a hash tree over them is signed, and each carries its own way up to it. So each message can be
judged alone, whatever became of the others.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chassis import logs, metrics
from chassis.errors import ConfigurationError
from chassis.publishing import OutgoingMessage
from chassis.signature_format import Claim, grow, leaf, signed_text, ways_up
from contracts.envelope import HEADER_SIGNATURE
from contracts.producers import OPERATOR, producers_of

if TYPE_CHECKING:
    from chassis.signing_keys import KeyFiles, SigningKey

log = logs.get("chassis.signatures")
UNSIGNED = "unsigned"
BAD_SIGNATURE = "bad_signature"
WRONG_PRODUCER = "wrong_producer"
UNKNOWN_KEY = "unknown_key"
REASONS = (UNSIGNED, BAD_SIGNATURE, WRONG_PRODUCER, UNKNOWN_KEY)
"""Why a message was not handled, as its parked row says."""

KEY_WAIT = timedelta(seconds=15)
KEY_WAITS_MAX = 20
"""A public key may reach others before us: what it signed is handed back for five minutes."""
WHAT_TO_SAY = (
    "messages are signed: SIGNING_KEY_FILE and, of a service, VERIFY_KEYS_DIR name the keys"
    " (`vitrine keys` makes them); SIGNATURES=off does without"
)
REREAD_SECONDS = 0.5
SAME_REASON_SECONDS = 30.0
TREE_MAX = 64
"""Messages under one signature. Four times as many cost each 96 bytes more."""
TREES_MAX = 512
"""Signatures of which is remembered what they prove."""
LOGGED_MAX = 1_000
CLAIMED_SHOWN_MAX = 40
DOTS_IN_TREE = 4
refused_count = metrics.counter(
    "vitrine.signatures.refused", description="messages nobody vouches for, by reason and mode"
)


class Mode(StrEnum):
    """`observe` counts what `require` would refuse: for an upgrade from a release without."""

    REQUIRE = "require"
    OBSERVE = "observe"
    OFF = "off"


class Refusal(NamedTuple):
    """Why a message is not handled. `later`: its key may become known yet."""

    reason: str
    later: bool = False


class Judged(NamedTuple):
    """`producer`: who is proven to have sent it; empty: nobody is."""

    producer: str = ""
    refusal: Refusal | None = None


_NOT_JUDGED = Judged()


class Signatures:
    """Signs what one party sends and judges what it gets."""

    def __init__(
        self,
        mode: Mode,
        *,
        keys: KeyFiles | None = None,
        party: str = "",
        signing: SigningKey | None = None,
    ) -> None:
        """`keys`: of a service; `party` and `signing`: of who sends and judges nothing."""
        assert mode is Mode.OFF or keys is not None or signing is not None
        self.mode = mode
        self.key_wait = KEY_WAIT
        self.key_waits_max = KEY_WAITS_MAX
        self._keys = keys
        self._party = keys.party if keys is not None else party
        self._own = signing
        self._proven: dict[str, set[bytes]] = {}
        self._reread_at = 0.0
        self._logged: dict[tuple[str, str], float] = {}

    async def look(self) -> None:
        """Called every few seconds: key files that have changed are read again."""
        self.refresh()

    def refresh(self) -> None:
        """Read the key files if they have changed."""
        if self._keys is not None and self._keys.refresh():
            self._proven.clear()

    def sign(self, subject: str, body: bytes, headers: MutableMapping[str, str]) -> None:
        """Put a signature into the headers of what is signed at all."""
        signing = self._signing()
        if signing is not None and producers_of(subject):
            root = leaf(subject, headers, body)
            headers[HEADER_SIGNATURE] = self._under(signing, root)

    def sign_all(self, messages: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
        """Return messages with their signatures, made for up to TREE_MAX of them at once."""
        signing = self._signing()
        if signing is None:
            return messages
        signed = list(messages)
        places = [place for place, each in enumerate(messages) if producers_of(each.subject)]
        for start in range(0, len(places), TREE_MAX):
            chosen = places[start : start + TREE_MAX]
            each = [messages[place] for place in chosen]
            tree = grow([leaf(one.subject, one.headers, one.body) for one in each])
            value = self._under(signing, tree[-1][0])
            for place, one, way in zip(chosen, each, ways_up(tree), strict=False):
                headers = {**one.headers, HEADER_SIGNATURE: value + way}
                signed[place] = OutgoingMessage(one.subject, one.body, headers)
        return signed

    def judge(self, subject: str, headers: Mapping[str, str], body: bytes) -> Judged:
        """Say who sent a message, or why it is refused."""
        if self.mode is Mode.OFF or not (allowed := producers_of(subject)):
            return _NOT_JUDGED
        judged = self._judge(subject, headers, body, allowed)
        if judged.refusal is None:
            return judged
        reason = judged.refusal.reason
        refused_count.add(1, {"reason": reason, "mode": self.mode.value})
        claimed = headers.get(HEADER_SIGNATURE, "").partition(".")[0]
        self._log_rarely(subject, reason, claimed[:CLAIMED_SHOWN_MAX])
        return _NOT_JUDGED if self.mode is Mode.OBSERVE else judged

    def _signing(self) -> SigningKey | None:
        if self.mode is Mode.OFF:
            return None
        return self._keys.signing if self._keys is not None else self._own

    def _under(self, signing: SigningKey, root: bytes) -> str:
        signature = signing.sign(signed_text(self._party, signing.id, root))
        return f"{self._party}.{signing.id}.{base64.b64encode(signature).decode()}"

    def _judge(
        self, subject: str, headers: Mapping[str, str], body: bytes, allowed: frozenset[str]
    ) -> Judged:
        value = headers.get(HEADER_SIGNATURE, "")
        if not value:
            return Judged("", Refusal(UNSIGNED))
        party = value.partition(".")[0]
        if party not in allowed:
            return Judged("", Refusal(WRONG_PRODUCER))
        try:
            own = leaf(subject, headers, body)
            in_tree = value.count(".") == DOTS_IN_TREE
            signature = value.rsplit(".", 2)[0] if in_tree else value
            proven = self._proven.get(signature, ())
            if own in proven:
                return Judged(party)
            claim = Claim.parse(value)
        except ValueError:
            return Judged("", Refusal(BAD_SIGNATURE))
        hashes = claim.climb(own, proven)
        if hashes[-1] not in proven and (refusal := self._unproven(claim, hashes[-1])) is not None:
            return Judged("", refusal)
        if in_tree:
            self._remember(signature, hashes)
        return Judged(party)

    def _unproven(self, claim: Claim, root: bytes) -> Refusal | None:
        """Verify a signature; return why it proves nothing."""
        keys = self._known(claim)
        if keys is None:
            return self._unknown(claim)
        text = signed_text(claim.party, claim.key, root)
        verified = keys.verifies(claim.party, claim.key, claim.signature, text)
        return None if verified else Refusal(BAD_SIGNATURE)

    def _remember(self, signature: str, hashes: Iterable[bytes]) -> None:
        """The others under this signature are as good as proven: their hashes came with it."""
        if len(self._proven) >= TREES_MAX:
            self._proven.clear()
        self._proven.setdefault(signature, set()).update(hashes)

    def _known(self, claim: Claim) -> KeyFiles | None:
        keys = self._keys
        assert keys is not None, "who sends only judges nothing"
        if not keys.knows(claim.party, claim.key):
            now = time.monotonic()
            if now < self._reread_at:
                return None
            self._reread_at = now + REREAD_SECONDS
            self.refresh()
        return keys if keys.knows(claim.party, claim.key) else None

    def _unknown(self, claim: Claim) -> Refusal:
        assert self._keys is not None
        if self._keys.is_anybodys(claim.key):
            return Refusal(BAD_SIGNATURE)
        return Refusal(UNKNOWN_KEY, later=True)

    def _log_rarely(self, subject: str, reason: str, claimed: str) -> None:
        """In `observe` an old release may send thousands: one line in a while tells it."""
        now = time.monotonic()
        if now - self._logged.get((reason, claimed), -SAME_REASON_SECONDS) < SAME_REASON_SECONDS:
            return
        if len(self._logged) >= LOGGED_MAX:
            self._logged.clear()
        self._logged[reason, claimed] = now
        log.warning(
            "signature_refused",
            subject=subject,
            reason=reason,
            claimed=claimed,
            mode=self.mode.value,
        )


OFF = Signatures(Mode.OFF)
"""Nothing is signed and nothing is judged: somebody has to say so."""


def of_service(party: str, *, mode: str, key_file: str, verify_keys: str) -> Signatures:
    """Return what a service's settings say; raise ConfigurationError.

    With keys it is `require` unless something else is said; without, `off` has to be said.
    """
    wanted = _mode(mode)
    if wanted is Mode.OFF:
        log.warning("signatures_off")
        return OFF
    if not key_file or not verify_keys:
        raise ConfigurationError(WHAT_TO_SAY)
    from chassis.signing_keys import KeyFiles

    return Signatures(wanted, keys=KeyFiles(party, Path(key_file), Path(verify_keys)))


def of_operator(*, mode: str, key_file: str) -> Signatures | None:
    """Return what a command line signs with; None: it can only ask. Raises ConfigurationError."""
    if _mode(mode) is Mode.OFF:
        return OFF
    if not key_file:
        return None
    from chassis.signing_keys import read_private

    return Signatures(Mode.REQUIRE, party=OPERATOR, signing=read_private(Path(key_file)))


def decided(signatures: Signatures | None) -> Signatures:
    """Return how messages are signed; raise ConfigurationError when nobody has said."""
    if signatures is None:
        raise ConfigurationError(WHAT_TO_SAY)
    return signatures


def _mode(mode: str) -> Mode:
    try:
        return Mode(mode or Mode.REQUIRE)
    except ValueError as error:
        raise ConfigurationError(f"SIGNATURES is {mode!r}, not one of {[*Mode]}") from error
