"""The Tiltfile, evaluated with stand-ins for Tilt's builtins; `helm` is the real one.

It shows that the file parses in Tilt's dialect, calls builtins as they are, and names files, images
and workloads that exist; it does not show that Tilt runs.
"""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import starlark
import yaml

from vitrine_tools.images import plan

pytestmark = pytest.mark.xdist_group("tilt")  # renders are kept per process
ROOT = Path(__file__).parents[2]
TILTFILE = ROOT / "Tiltfile"
LINES_MAX = 80
PREFIX = "vitrine-"
SECRET_NAME = (
    r'"(?:secretKeyRef|configMapKeyRef|configMap)": {[^}]*?"name": "([^"]+)"'
    r'|"secretName": "([^"]+)"'
)
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
SERVICES = {"gateway", "billing", "generator", "vpn", "scheduler"}
PRELUDE = """
os = struct(path=struct(exists=_exists), getcwd=_getcwd)
TRIGGER_MODE_MANUAL, TRIGGER_MODE_AUTO = "manual", "auto"
"""


@dataclass
class Tilt:
    """Tilt's builtins with their real parameters: each remembers what it was told."""

    render: object
    without: frozenset[str] = frozenset()
    """Paths that are as if removed."""
    objects: list[dict] = field(default_factory=list)
    images: dict[str, dict] = field(default_factory=dict)
    resources: dict[str, dict] = field(default_factory=dict)
    buttons: dict[str, dict] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def there(self, path: str) -> bool:
        return path not in self.without and (ROOT / path).exists()

    def need(self, *paths: str) -> None:
        for path in paths:
            if not self.there(path):
                raise FileNotFoundError(f"{path} does not exist")

    def builtin(self, name):
        """A call as Tilt takes it: what it has no parameter for is an error."""
        parameters = BUILTINS[name].split()

        def call(*arguments, **named):
            given = dict(zip(parameters, arguments, strict=False)) | named
            if len(arguments) > len(parameters) or given.keys() - set(parameters):
                raise TypeError(f"{name} takes {BUILTINS[name]}")
            return getattr(self, name)(**given)

        return call

    def docker_build(
        self, ref, context, *, build_args=None, dockerfile="Dockerfile", live_update=(), only=()
    ):
        self.need(context, dockerfile, *only)
        steps = list(live_update)
        kinds = [step["step"] for step in steps]
        assert "fall_back_on" not in kinds[1:], f"{ref}: fall_back_on comes first"
        assert "sync" not in kinds[kinds.index("run") :] if "run" in kinds else True
        for step in steps:
            for path in step.get("paths", []):
                within = [only_path for only_path in only if Path(path).is_relative_to(only_path)]
                assert within, f"{ref}: {path} is not in the image's context"
        self.images[ref] = {"only": list(only), "steps": steps, "args": dict(build_args or {})}

    def sync(self, local_path, remote_path):
        self.need(local_path)
        assert remote_path.startswith("/tmp/"), "nothing else of a pod can be written"
        return {"step": "sync", "paths": [local_path], "to": remote_path}

    def fall_back_on(self, files):
        self.need(*files)
        return {"step": "fall_back_on", "paths": list(files)}

    def run(self, cmd, trigger=()):
        self.need(*trigger)
        return {"step": "run", "cmd": cmd}

    def helm(self, chart, *, name="", namespace="", values=(), set=(), **_):  # noqa: A002 - Tilt's
        self.need(chart, *values)
        return self.render(chart, name, namespace, tuple(values), tuple(set))

    def decode_yaml_stream(self, text):
        return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]

    def encode_yaml_stream(self, objects):
        return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)

    def blob(self, contents):
        return contents

    def k8s_yaml(self, given, **_):
        for each in given if isinstance(given, list) else [given]:
            if re.fullmatch(r"[\w./-]+\.yaml", each):
                made_here = any(each in shlex.split(command) for command in self.ran)
                assert made_here or self.need(each) is None
            else:
                self.objects += [found for found in yaml.load_all(each, yaml.CSafeLoader) if found]

    def k8s_resource(
        self, workload, *, new_name="", port_forwards=(), resource_deps=(), labels=(), **_
    ):
        assert workload not in self.resources, f"{workload} twice"
        self.resources[workload] = {
            "name": new_name or workload,
            "after": list(resource_deps),
            "labels": list(labels),
            "ports": list(port_forwards),
        }

    def port_forward(self, local_port, container_port=None, **_):
        return {"local": local_port, "container": container_port or local_port}

    def local(self, command, **_):
        self.ran.append(command)
        return ""

    def local_resource(
        self, name, cmd="", *, deps=(), trigger_mode="auto", labels=(), auto_init=True, **_
    ):
        self.need(*deps)
        self.buttons[name] = {
            "cmd": cmd,
            "by_hand": trigger_mode == "manual" and not auto_init,
            "labels": list(labels),
        }

    def evaluate(self, text: str) -> None:
        """As Tilt would: no f-strings, unknown names and keywords are errors."""
        dialect = starlark.Dialect.extended()
        dialect.enable_f_strings = False
        extensions = [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Print]
        known = starlark.Globals.extended_by(extensions)
        module = starlark.Module()
        module.add_callable("_exists", self.there)
        module.add_callable("_getcwd", lambda: str(ROOT))
        for name in BUILTINS:
            module.add_callable(name, self.builtin(name))
        for name, source in (("prelude", PRELUDE), ("Tiltfile", text)):
            starlark.eval(module, starlark.parse(name, source, dialect), known)
        self.agree()

    def agree(self) -> None:
        """What is built, rendered and named fits together."""
        workloads = {
            each["metadata"]["name"]: each for each in self.objects if each["kind"] in WORKLOADS
        }
        used = {image for each in workloads.values() for image in images_of(each)}
        assert {name for name in used if name.startswith(PREFIX)} == set(self.images)
        assert set(self.resources) == set(workloads), "each workload has a place in the page"
        known = {each["name"] for each in self.resources.values()} | set(self.buttons)
        for name, each in self.resources.items():
            assert set(each["after"]) <= known, f"{name} waits for what there is not"
            assert each["labels"], f"{name} is in no group"
            open_ports = ports_of(workloads[name])
            for forward in each["ports"]:
                port = forward["container"] if isinstance(forward, dict) else int(forward)
                assert port in open_ports, f"{name} does not listen on {port}"


BUILTINS = {
    "docker_build": "ref context build_args dockerfile live_update only",
    "sync": "local_path remote_path",
    "fall_back_on": "files",
    "run": "cmd trigger",
    "helm": "chart name namespace values set",
    "decode_yaml_stream": "text",
    "encode_yaml_stream": "objects",
    "blob": "contents",
    "k8s_yaml": "given allow_duplicates",
    "k8s_resource": "workload new_name port_forwards resource_deps objects labels links auto_init "
    "trigger_mode pod_readiness",
    "port_forward": "local_port container_port name link_path host",
    "local": "command quiet command_bat echo_off env dir stdin",
    "local_resource": "name cmd deps trigger_mode resource_deps labels auto_init serve_cmd links "
    "allow_parallel env dir",
}
"""Tilt's builtins that are used here, each with its parameters."""


def pod_of(workload: dict) -> dict:
    return workload["spec"]["template"]["spec"]


def images_of(workload: dict) -> list[str]:
    pod = pod_of(workload)
    return [
        each["image"].rpartition(":")[0]
        for each in [*pod.get("initContainers", []), *pod["containers"]]
    ]


def ports_of(workload: dict) -> set[int]:
    return {
        port["containerPort"]
        for each in pod_of(workload)["containers"]
        for port in each.get("ports", [])
    }


@pytest.fixture(scope="module")
def text() -> str:
    return TILTFILE.read_text()


@pytest.fixture(scope="module")
def tilt(text: str, render) -> Tilt:
    found = Tilt(render)
    found.evaluate(text)
    return found


def test_it_names_builtins_files_images_and_workloads_that_exist(tilt: Tilt) -> None:
    assert set(tilt.images) == {PREFIX + name for name in SERVICES | {"simulators"}}


def test_it_is_short_and_each_image_is_told_its_service(tilt: Tilt, text: str) -> None:
    assert text.count("\n") < LINES_MAX
    for name, image in tilt.images.items():
        assert image["args"] == {"SERVICE": name.removeprefix(PREFIX)}


def test_the_context_of_an_image_holds_all_it_is_made_of(tilt: Tilt) -> None:
    for name, image in tilt.images.items():
        made_of = plan.members_of(plan.IMAGES[name.removeprefix(PREFIX)])
        wanted = {str(folder.relative_to(ROOT) / "src") for folder in made_of}
        wanted |= {f"{folder}/pyproject.toml" for folder in plan.FOLDERS}
        wanted.add(str(Path(plan.__file__).parent.relative_to(ROOT)))
        assert wanted <= set(image["only"]), f"{name} lacks {wanted - set(image['only'])}"


def test_code_of_a_service_is_replaced_where_it_runs_from(tilt: Tilt) -> None:
    lively = {
        each["metadata"]["labels"]["vitrine/service"]: pod_of(each)["containers"][0]
        for each in tilt.objects
        if each["kind"] == "Deployment" and "vitrine/service" in each["metadata"]["labels"]
    }

    assert set(lively) == SERVICES
    for service, container in lively.items():
        steps = tilt.images[PREFIX + service]["steps"]
        synced = {step["to"] for step in steps if step["step"] == "sync"}
        environment = {each["name"]: each.get("value") for each in container["env"]}
        assert synced == set(environment["PYTHONPATH"].split(":"))
        assert "service" in container["command"][-1]
        assert "livenessProbe" not in container
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}


def test_a_service_starts_again_when_its_code_is_replaced(tilt: Tilt, tmp_path: Path) -> None:
    """The command of the pods, run for real, with the folders of a container moved here."""
    script = next(
        pod_of(each)["containers"][0]["command"][-1]
        for each in tilt.objects
        if each["metadata"]["name"] == "vitrine-billing" and each["kind"] == "Deployment"
    )
    app, starts = tmp_path / "app", tmp_path / "starts"
    (app / "libs").mkdir(parents=True)
    (app / "libs" / "code.py").write_text("old")
    service = tmp_path / "service"
    service.write_text(f"#!/bin/sh\necho $$ >> {starts}\nexec sleep 60\n")
    service.chmod(0o755)
    for was, becomes in (("/app", str(app)), ("/tmp/live", f"{tmp_path}/live")):
        script = script.replace(was, becomes)
    loop = subprocess.Popen(["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})

    def started(times: int) -> list[str]:
        deadline = time.monotonic() + 20
        while len(seen := starts.read_text().split() if starts.exists() else []) < times:
            assert time.monotonic() < deadline, f"{len(seen)} of {times} starts"
            time.sleep(0.05)
        return seen

    started(1)
    assert (tmp_path / "live/libs/code.py").read_text() == "old", "sync writes over a whole copy"
    (kill,) = [
        step["cmd"] for step in tilt.images["vitrine-billing"]["steps"] if step["step"] == "run"
    ]
    subprocess.run(["sh", "-c", kill.replace("/tmp/live", f"{tmp_path}/live")], check=True)
    second = started(2)[-1]
    loop.terminate()

    assert loop.wait(20) == 0
    assert not Path(f"/proc/{second}").exists(), "the service ended with its container"


def test_jobs_run_as_the_chart_has_them(tilt: Tilt) -> None:
    jobs = [each for each in tilt.objects if each["kind"] == "Job"]

    assert len(jobs) == 5
    assert all("/tmp/live" not in str(job) for job in jobs)


def test_there_are_buttons_for_an_order_and_for_chaos(tilt: Tilt) -> None:
    assert set(tilt.buttons) == {"demo order", "chaos"}
    for button in tilt.buttons.values():
        assert button["by_hand"]
        assert button["labels"]
        (module,) = re.findall(r"-m (\S+)", button["cmd"])
        assert importlib.util.find_spec(module)
    selector = re.findall(r"--selector (\S+)", tilt.buttons["chaos"]["cmd"])
    assert selector == ["vitrine/service"]


def test_credentials_are_made_once_and_by_vitrine_keys(text: str, render) -> None:
    keys = ".vitrine/tilt/keys.yaml"
    first, later = Tilt(render, without=frozenset({keys})), Tilt(render)
    later.there = lambda path: path == keys or (ROOT / path).exists()

    first.evaluate(text)
    later.evaluate(text)

    assert [("vitrine keys" in each) for each in first.ran] == [False, True]
    assert not any("vitrine keys" in each for each in later.ran)


def test_every_secret_a_pod_names_is_in_the_chart_or_among_the_keys(tilt: Tilt) -> None:
    vitrine = Path(sys.executable).with_name("vitrine")
    keys = subprocess.run(
        [vitrine, "keys", "--namespace", "vitrine"], capture_output=True, text=True, check=True
    )
    made = [*yaml.load_all(keys.stdout, yaml.CSafeLoader), *tilt.objects]
    there = {each["metadata"]["name"] for each in made if each["kind"] in ("Secret", "ConfigMap")}

    named = {
        name
        for each in tilt.objects
        if each["kind"] in WORKLOADS
        for found in re.finditer(SECRET_NAME, json.dumps(pod_of(each)))
        for name in (found[1] or found[2],)
    }
    assert len(named) > 10
    assert named <= there


BROKEN = {
    "a misspelt builtin": ("k8s_resource('vitrine-nats'", "k8s_ressource('vitrine-nats'"),
    "a misspelt keyword": ("labels=['stores']", "lables=['stores']"),
    "an f-string": ("'services/' + name for", "f'services/{name}' for"),
    "a file that is not there": ("dockerfile='Dockerfile'", "dockerfile='Dokerfile'"),
    "values that are not there": ("values-dev.yaml'", "values-dew.yaml'"),
    "an image nobody uses": ("image('simulators'", "image('operator'"),
    "an image nobody builds": ("image('simulators', ['simulators'], live=False)\n", ""),
    "a workload there is not": ("k8s_resource('vitrine-postgres'", "k8s_resource('vitrine-pg'"),
    "a wait for nothing": ("resource_deps=['vitrine-postgres']", "resource_deps=['postgres']"),
    "a port nobody listens on": ("port_forward(8081", "port_forward(8084"),
    "a copy to where nothing is written": ("sync(each, '/tmp/live/'", "sync(each, '/app/'"),
    "code outside of the context": ("only=again + code", "only=again"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_it_fails_on(fault: str, text: str, render) -> None:
    was, becomes = BROKEN[fault]
    assert was in text, "the fault is planted"

    with pytest.raises((starlark.StarlarkError, AssertionError, FileNotFoundError)):
        Tilt(render).evaluate(text.replace(was, becomes))


@pytest.mark.parametrize("path", ["Dockerfile", "requirements/vpn.lock", "charts/vitrine"])
def test_it_fails_once_a_file_is_removed(path: str, text: str, render) -> None:
    with pytest.raises((starlark.StarlarkError, FileNotFoundError), match=path):
        Tilt(render, without=frozenset({path})).evaluate(text)
