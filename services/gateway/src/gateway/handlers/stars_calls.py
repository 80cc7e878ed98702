"""How patiently Telegram is asked about Stars."""

from __future__ import annotations

from datetime import timedelta

ATTEMPTS_MAX = 60
"""With the runtime's backoff about five hours: money is not given up over an outage."""
LASTS_MAX = timedelta(seconds=30)
