"""Each image as a cluster would run it: read-only, without rights, inside limits, to be stopped."""

import json
import re
from collections.abc import Callable

import pytest

from vitrine_tools.images import plan, trial

IMAGES = list(plan.IMAGES)
SERVICES = ("gateway", "billing", "generator", "vpn", "scheduler")
WITH_DATABASE = ("gateway", "billing", "vpn", "scheduler")
PATIENCE_SECONDS = 60.0
GRACE_SECONDS = 25.0
KILLED, MISCONFIGURED = 128 + 9, 2
NOWHERE = "127.0.0.1:9"
"""The port of `discard`, on which nobody answers."""
Start = Callable[..., trial.Container]

LOOK = """
import json, os, pathlib, shutil
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
def refused(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return ""
print(json.dumps({
    "ids": [os.getuid(), os.getgid()],
    "rights": status["CapEff"].strip(), "bound": status["CapBnd"].strip(),
    "nothing_new": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "root": refused("/x"), "app": refused("/app/x"), "venv": refused("/opt/venv/x"),
    "run": refused("/run/x"), "tmp": refused("/tmp/x"), "shm": os.access("/etc", os.W_OK),
    "tools": [t for t in ("pip", "gcc", "cc", "ld", "make") if shutil.which(t)],
    "first": open("/proc/1/cmdline").read().split("\\0")[4:6],
}))
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
from importlib.util import find_spec
names = sys.argv[1].split(",")
if "gateway" in names:
    from gateway.adapters import light_aiogram
    light_aiogram.load()
count = 0
for name in names:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        last = found.name.rpartition(".")[2]
        if last in {"testing", "__main__", "image_worker"}:
            continue
        if found.name == "chassis.authority" and find_spec("cryptography") is None:
            continue  # makes certificates, which a service has no business with
        importlib.import_module(found.name)
        count += 1
print(count)
"""

TELL = """
import http.server, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told.append((self.path, len(body)))
        self.send_response(400)
        self.end_headers()
        self.wfile.write(b"\\xff of no charset")
    def log_message(self, *_words):
        pass
told = []
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
from chassis import metrics, tracing
endpoint = f"http://127.0.0.1:{server.server_port}"
tracing.configure(service="trial", endpoint=endpoint)
metrics.configure(service="trial", endpoint=endpoint)
metrics.counter("trial").add(1)
from opentelemetry import metrics as measured, trace
with trace.get_tracer("trial").start_as_current_span("a step"):
    pass
trace.get_tracer_provider().force_flush()
measured.get_meter_provider().force_flush()
print(sorted({path for path, length in told if length}))
"""


@pytest.mark.parametrize("service", IMAGES)
def test_a_container_can_do_nothing_but_work(service: str, start: Start) -> None:
    container = start(service, ["python", "-c", LOOK])

    assert container.wait(PATIENCE_SECONDS) == 0, container.logs()
    found = json.loads(container.logs().splitlines()[-1])

    assert found["ids"] == [10001, 10001]
    assert int(found["rights"], 16) == int(found["bound"], 16) == 0
    assert found["nothing_new"] == "1"
    assert found["seccomp"] == "2"
    for place in ("root", "app", "venv", "run"):
        assert found[place] in ("Read-only file system", "Permission denied"), place
    assert found["root"] == "Read-only file system"
    assert found["tmp"] == ""
    assert found["tools"] == []
    assert found["first"] == ["python", "-c"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_module_of_a_service_is_to_be_imported(service: str, start: Start) -> None:
    packages = f"contracts,chassis,{service}"
    container = start(service, ["python", "-c", IMPORT_ALL, packages])

    assert container.wait(PATIENCE_SECONDS) == 0, container.logs()
    assert int(container.logs().splitlines()[-1]) > 20


@pytest.mark.parametrize("service", SERVICES)
def test_traces_and_metrics_leave_an_image_that_was_pruned(service: str, start: Start) -> None:
    container = start(service, ["python", "-c", TELL])

    assert container.wait(PATIENCE_SECONDS) == 0, container.logs()
    assert "['/v1/metrics', '/v1/traces']" in container.logs()
    assert "ImportError" not in container.logs()
    assert "ModuleNotFoundError" not in container.logs()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_settings_says_what_it_lacks(service: str, start: Start) -> None:
    container = start(service, environment={f"{service.upper()}_NATS_URL": "nats://"})

    code = container.wait(PATIENCE_SECONDS)

    assert code != 0, container.logs()
    assert "Traceback" not in container.logs()
    assert re.search("^(settings|configuration): ", container.logs(), re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_still_waits_for_its_servers_stops_when_asked(
    service: str, start: Start
) -> None:
    container = start(service, environment=nowhere(service))
    container.wait_for_log('"starting"', PATIENCE_SECONDS)

    container.signal("TERM")

    assert container.wait(GRACE_SECONDS) == 0, container.logs()


def test_a_term_before_the_service_listens_to_it_ends_it_too(start: Start) -> None:
    container = start("gateway", environment=nowhere("gateway"))

    container.signal("TERM")

    # 143: the signal's own doing, since nothing was begun that could be ended in order.
    assert container.wait(GRACE_SECONDS) in (0, 128 + 15), container.logs()


def test_who_takes_more_memory_than_its_limit_is_killed(start: Start) -> None:
    greedy = "held = [bytearray(1 << 20) for _ in range(512)]"
    container = start("scheduler", ["python", "-c", greedy], memory="64m")

    assert container.wait(PATIENCE_SECONDS) == KILLED, container.logs()


def test_the_number_of_processes_is_limited(start: Start) -> None:
    many = (
        "import threading\n"
        "stop = threading.Event()\n"
        "try:\n"
        f"    for n in range({trial.PIDS_MAX * 2}):\n"
        "        threading.Thread(target=stop.wait, daemon=True).start()\n"
        "except RuntimeError:\n"
        "    print('refused after', n)\n"
        "stop.set()\n"
    )
    container = start("scheduler", ["python", "-c", many])

    assert container.wait(PATIENCE_SECONDS) == 0
    refused = int(container.logs().split()[-1])
    assert trial.PIDS_MAX // 2 < refused < trial.PIDS_MAX


def test_orphans_leave_no_zombies(start: Start) -> None:
    orphans = (
        "import os, pathlib, time\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0:\n"
        "            os._exit(0)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "def dead():\n"
        "    stats = [p.read_text() for p in pathlib.Path('/proc').glob('[0-9]*/stat')]\n"
        "    return [s for s in stats if s.rpartition(')')[2].split()[0] == 'Z']\n"
        "end = time.monotonic() + 20\n"
        "while dead() and time.monotonic() < end: time.sleep(0.01)\n"
        "raise SystemExit(len(dead()))\n"
    )
    container = start("gateway", ["python", "-c", orphans])

    assert container.wait(PATIENCE_SECONDS) == 0, container.logs()


def test_the_operators_image_knows_every_command_line(start: Start) -> None:
    for command in (
        ["vitrine", "sql", "--help"],
        ["billing", "export", "--help"],
        ["scheduler", "--help"],
        ["vpn", "--help"],
        ["sleep", "0"],  # the desk of the chart
    ):
        container = start("operator", command)
        assert container.wait(PATIENCE_SECONDS) == 0, container.logs()
    container = start("operator", ["python", "-c", "import pyarrow.parquet"])
    assert container.wait(PATIENCE_SECONDS) == 0, container.logs()


def test_the_vpn_image_is_also_the_agent(start: Start) -> None:
    container = start("vpn", ["vpn-agent"])

    assert container.wait(PATIENCE_SECONDS) == 78, container.logs()
    assert "settings: " in container.logs()


def nowhere(service: str) -> dict[str, str]:
    """Settings with which a service starts, and finds nobody."""
    values = {"NATS_URL": f"nats://{NOWHERE}", "LOG_FORMAT": "json", "SIGNATURES": "off"}
    if service in WITH_DATABASE:
        values["DATABASE_URL"] = f"postgresql://{service}:x@{NOWHERE}/vitrine"
    values |= {
        "gateway": {"BOT_TOKEN": "1:x", "TELEGRAM_API_URL": f"http://{NOWHERE}"},
        "billing": {"PAYLOAD_SECRET": "x" * 32},
        "generator": {"COMFYUI_URL": f"http://{NOWHERE}"},
    }.get(service, {})
    return {f"{service.upper()}_{name}": value for name, value in values.items()}
