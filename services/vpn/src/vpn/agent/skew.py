"""How far the node's clock is from the control plane's, also long after they last spoke."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import msgspec

from chassis import logs
from chassis.clock import Clock
from vpn.agent import journal
from vpn.node_api import SKEW_MAX_SECONDS

log = logs.get("vpn.agent.skew")
FILE = "skew"
SAVE_EVERY_SECONDS = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Heard(msgspec.Struct):
    """The control plane's clock at a moment, and how to find that moment again."""

    control: float
    steady: float
    boot: str
    skew: float


class Skew:
    """Positive: the node's clock is ahead. Unknown counts as none: a lone node still expires."""

    def __init__(self, clock: Clock, folder: Path | None = None) -> None:
        self._clock = clock
        self._path = folder / FILE if folder else None
        self._control: float | None = None
        self._heard_at = 0.0
        self._saved_at = -SAVE_EVERY_SECONDS
        self._saved_verdict = False

    def load(self) -> None:
        """Go on from what an earlier life of the agent heard."""
        if self._path is None:
            return
        try:
            heard = _read(self._path)
        except FileNotFoundError:
            return
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("stored_skew_damaged", why=str(error))
            return
        if heard.boot == _boot():
            self._control, self._heard_at = heard.control, heard.steady
        else:
            # How long the machine was off nobody knows: a clock that was wrong counts as wrong by
            # as much still, and no clock may be behind what the control plane once said.
            now = self._clock.now().timestamp()
            self._control = max(now - heard.skew, heard.control)
            self._heard_at = _steady()
        self._saved_verdict = self.too_great

    def hear(self, control_now: datetime) -> None:
        """Note the control plane's clock as it came with a request."""
        self._control = control_now.timestamp()
        self._heard_at = _steady()
        self.save_if_due()

    def save_if_due(self) -> None:
        """Put a changed verdict on disk at once, and anything else now and then."""
        if self._path is None or self._control is None:
            return
        now = _steady()
        if self.too_great == self._saved_verdict and now - self._saved_at < SAVE_EVERY_SECONDS:
            return
        since = now - self._heard_at
        heard = Heard(self._control + since, now, _boot(), self.seconds)
        try:
            journal.replace(self._path, journal.framed(msgspec.json.encode(heard)))
        except OSError as error:
            log.warning("skew_not_saved", why=error.strerror)
            return
        self._saved_at, self._saved_verdict = now, self.too_great

    @property
    def seconds(self) -> float:
        # Against a clock nobody can set: a jump of the node's own clock shows as skew at once,
        # also while the control plane is away.
        if self._control is None:
            return 0.0
        expected = self._control + (_steady() - self._heard_at)
        return self._clock.now().timestamp() - expected

    @property
    def too_great(self) -> bool:
        return abs(self.seconds) > SKEW_MAX_SECONDS


def _read(path: Path) -> Heard:
    """Return what was saved. ValueError: a digit that is another would pause or end people."""
    records, _ = journal.unframed(path.read_bytes())
    if len(records) != 1:
        raise ValueError("the digest does not fit")
    return msgspec.json.decode(records[0], type=Heard)


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
