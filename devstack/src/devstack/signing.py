"""The platform's signing keys: made once per state folder, kept there for its owner alone."""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from chassis import signing_keys
from chassis.publishing import OutgoingMessage
from chassis.signatures import Mode, Signatures
from chassis.signing_keys import read_private
from chassis.testing import signatures_of
from contracts.producers import JOB_RECORDS, PARTIES, producers_of

FOLDER = "signing"


def prepare(state_dir: Path) -> None:
    """Make the key of everybody who has none."""
    signing_keys.ensure(state_dir / FOLDER, PARTIES)


def settings_of(state_dir: Path, party: str) -> Mapping[str, str]:
    """The settings with which a process signs as this party, without their prefix."""
    folder = state_dir / FOLDER
    return {
        "SIGNING_KEY_FILE": str(signing_keys.private_file(folder, party)),
        "VERIFY_KEYS_DIR": str(signing_keys.verify_folder(folder)),
    }


def signatures(state_dir: Path, party: str) -> Signatures:
    """What a test signs with, that plays a service or a person."""
    return signatures_of(state_dir / FOLDER, party)


class Everybody(Signatures):
    """Signs each message as a party that may send it: for tests that play many."""

    def __init__(self, state_dir: Path) -> None:
        self._parties = {
            party: Signatures(
                Mode.REQUIRE,
                party=party,
                signing=read_private(signing_keys.private_file(state_dir / FOLDER, party)),
            )
            for party in PARTIES
        }
        super().__init__(Mode.OFF)

    def sign(self, subject: str, body: bytes, headers: MutableMapping[str, str]) -> None:
        if producers_of(subject):
            self._parties[party_of(subject)].sign(subject, body, headers)

    def sign_all(self, messages: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
        signed = []
        for each in messages:
            headers = dict(each.headers)
            self.sign(each.subject, each.body, headers)
            signed.append(each._replace(headers=headers))
        return signed


def party_of(subject: str) -> str:
    """One that may send it: its owner, of a command too."""
    if subject.startswith(JOB_RECORDS):
        return "generator"
    owner, _, rest = subject.partition(".")
    return {"jobs": "billing", "dead": rest}.get(owner, owner)


def everybody(state_dir: Path) -> Signatures:
    """For a broker by which a test sends what any service or operator may."""
    return Everybody(state_dir)
