"""The chart as tests see it: rendered by the real helm, and taken apart."""

import functools
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devstack.kubernetes_tools import tools
from devstack.settings import REPOSITORY

CHART = REPOSITORY / "charts" / "vitrine"
KUBE_VERSIONS = ("1.30", "1.33", "1.36")
RELEASE = NAMESPACE = "vitrine"
HELM_SECONDS_MAX = 60.0
RUN = re.compile(r"-[0-9a-f]{8}$")
"""At the end of a Job's name: what tells its runs apart."""
Object = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """Like Kubernetes: a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Rendered:
    code: int
    text: str
    """The manifests, or what helm complained about."""

    def objects(self) -> list[Object]:
        return _parsed(self.text)

    def of(self, kind: str) -> dict[str, Object]:
        """Objects of a kind by name, without the release's own before it."""
        return {name_of(each): each for each in self.objects() if each["kind"] == kind}


def name_of(each: Object) -> str:
    """Without the release's own, and for a Job without what tells its runs apart."""
    name = str(each["metadata"]["name"]).removeprefix(f"{RELEASE}-")
    return RUN.sub("", name) if each["kind"] == "Job" else name


@functools.cache
def _parsed(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, Loader=_Loader) if each]


def values_files() -> list[Path]:
    """Every set of values that is meant to render: those of ci/ and those people begin with."""
    return [*sorted((CHART / "ci").glob("*-values.yaml")), *sorted(CHART.glob("values-*.yaml"))]


@functools.cache
def render(
    values: Sequence[str] = (),
    *,
    sets: Sequence[str] = (),
    kube: str = KUBE_VERSIONS[0],
    upgrade: bool = False,
    api: str = "",
) -> Rendered:
    """`helm template` with values files of the chart's folder and `--set-json` arguments; kept.

    `api`: the URL of a Kubernetes API that `lookup` asks; without one it finds nothing.
    """
    words = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", kube]
    words += ["--is-upgrade"] if upgrade else []
    if api:
        words += ["--dry-run=server", "--disable-openapi-validation"]
        words += ["--kubeconfig", os.devnull, "--kube-apiserver", api]
    for file in values:
        words += ["--values", str(CHART / file)]
    for each in sets:
        words += ["--set-json", each]
    done = helm(*words)
    return Rendered(done.returncode, done.stdout if done.returncode == 0 else done.stderr)


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tools().helm), *words],
        capture_output=True,
        text=True,
        timeout=HELM_SECONDS_MAX,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, and the object that makes it."""

    owner: Object
    labels: dict[str, str]
    spec: Object

    @property
    def name(self) -> str:
        return f"{self.owner['kind']}/{name_of(self.owner)}"

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def hook(self) -> str:
        return str(self.owner["metadata"].get("annotations", {}).get("helm.sh/hook", ""))


def pods(objects: Sequence[Object]) -> Iterator[Pod]:
    """Whatever becomes a pod."""
    for each in objects:
        if each["kind"] == "Pod":
            yield Pod(each, each["metadata"]["labels"], each["spec"])
        elif each["kind"] == "CronJob":
            template = each["spec"]["jobTemplate"]["spec"]["template"]
            yield Pod(each, template["metadata"]["labels"], template["spec"])
        elif "template" in each.get("spec", {}) and "containers" in str(each["spec"]["template"]):
            template = each["spec"]["template"]
            yield Pod(each, template["metadata"]["labels"], template["spec"])
