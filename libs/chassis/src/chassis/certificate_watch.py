"""How many days are left to the certificate a process shows to NATS."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from pathlib import Path

from chassis import logs
from chassis.certificates import end_of
from chassis.clock import Clock
from chassis.identity import AUTHORITY_FILE, CERTIFICATE_FILE, Identity

log = logs.get("chassis.certificate_watch")
DAY = timedelta(days=1)
WARN_DAYS = 30
"""Less than that is a warning in the log, and the alert CertificateEnding. Whoever renews by
themselves (charts/vitrine/templates/certificates.yaml) does it well before."""


class CertificateWatch:
    """The end of what lies on the disk: our certificate, or the authority that signed it."""

    def __init__(self, identity: Identity, clock: Clock) -> None:
        self._folder = Path(identity.tls_dir)
        self._clock = clock
        self._ends_at: datetime | None = None

    @property
    def days_left(self) -> float:
        """Not a number before the first look."""
        if self._ends_at is None:
            return math.nan
        return (self._ends_at - self._clock.now()) / DAY

    async def look(self) -> None:
        """Read the files; warn when the end is near."""
        self._ends_at = await asyncio.to_thread(self._read)
        if self.days_left < WARN_DAYS:
            log.warning(
                "certificate_ending", days_left=int(self.days_left), ends_at=str(self._ends_at)
            )

    def _read(self) -> datetime:
        shown, believed = (self._folder / name for name in (CERTIFICATE_FILE, AUTHORITY_FILE))
        return end_of(shown.read_bytes(), believed.read_bytes())
