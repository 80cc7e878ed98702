"""Logs never stop what they tell of."""

import subprocess
import sys

LINES = """
import resource
from chassis import logs
logs.configure(service="s", log_format="json", level="info")
log = logs.get("test")
log.info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
for number in range(100):
    log.warning("while_full", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
log.info("after")
"""


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path):
    out = tmp_path / "log"
    with out.open("wb") as file:
        ended = subprocess.run(
            [sys.executable, "-c", LINES], stdout=file, stderr=subprocess.PIPE, check=False
        )

    assert (ended.returncode, ended.stderr) == (0, b"")
    text = out.read_text()
    assert '"event": "before"' in text
    assert '"event": "after"' in text
