"""Every object is what its kind may be, for each Kubernetes we support; unknown fields fail."""

import functools
import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from devstack.chart import CHART, KUBE_VERSIONS, helm, render, values_files

FIELDS = Path(__file__).with_name("fields")
OURS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FIELDS.glob("*.yaml"))}
"""Kinds of others: neither Kubernetes' schemas nor helm know them."""
IDS = [file.stem.removesuffix("-values") for file in values_files()]
FILES = [str(file.relative_to(CHART)) for file in values_files()]


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once():
    """The library lists its folders and reads megabytes of definitions for each object."""
    utils = kubernetes_validate.utils
    with pytest.MonkeyPatch.context() as patch:
        for name in ("all_versions", "schema_contents"):
            patch.setattr(utils, name, functools.cache(getattr(utils, name)))
        yield


@functools.cache
def check(text, kube):
    """An object that several values files have in common is judged once."""
    kubernetes_validate.validate(json.loads(text), kube, strict=True)


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_helm_finds_nothing_to_complain_about(file):
    done = helm("lint", "--strict", str(CHART), "--values", str(CHART / file))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kube", KUBE_VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_objects_fit_their_schema(file, kube):
    rendered = render((file,), kube=kube)
    assert rendered.code == 0, rendered.text

    known = [each for each in rendered.objects() if each["kind"] not in OURS]

    assert len(known) > 10
    for each in known:
        check(json.dumps(each), kube)


def test_a_misspelt_field_of_kubernetes_is_found():
    deployment = render((FILES[0],)).of("Deployment")["billing"]
    misspelt = {**deployment, "spec": {**deployment["spec"], "replica": 2}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, KUBE_VERSIONS[0], strict=True)


def test_no_two_objects_have_one_name():
    for file in FILES:
        objects = render((file,)).objects()
        names = [(each["kind"], each["metadata"]["name"]) for each in objects]
        assert len(names) == len(set(names)), file


def test_the_longest_names_fit_their_limits():
    """KEDA and Kubernetes put names into labels: 63 characters."""
    server = {"name": "s" * 22, "pools": ["image"], "sidecar": {"image": "c"}}
    server |= {"keda": {"enabled": True}}
    sets = (f"comfyui.servers={json.dumps([server])}", f'fullnameOverride="{"r" * 30}"')

    for each in render(("ci/scaling-values.yaml",), sets=sets).objects():
        assert len(each["metadata"]["name"]) <= 63, each["metadata"]["name"]


def test_names_fit_their_limits():
    for file in FILES:
        for each in render((file,)).objects():
            assert len(each["metadata"]["name"]) <= 63, each["metadata"]["name"]


@pytest.mark.parametrize("kind", OURS)
def test_kinds_of_others_have_only_fields_they_may_have(kind):
    found = [each for file in FILES for each in render((file,)).objects() if each["kind"] == kind]

    assert found, f"no values render a {kind}"
    for each in found:
        assert each["apiVersion"] == OURS[kind]["apiVersion"]
        assert not faults(each, OURS[kind])


def test_a_field_nobody_knows_is_a_fault():
    scaled = render(("ci/scaling-values.yaml",)).of("ScaledObject")["billing"]
    known = OURS["ScaledObject"]
    misspelt = {**scaled, "spec": {**scaled["spec"], "maxReplicas": 3}}
    nameless = {**scaled, "spec": {**scaled["spec"], "scaleTargetRef": {"kind": "Deployment"}}}
    modifiers = {**scaled["spec"]["advanced"]["scalingModifiers"], "target": 3}
    number = {**scaled, "spec": {**scaled["spec"], "advanced": {"scalingModifiers": modifiers}}}

    assert faults(scaled, known) == []
    assert faults(misspelt, known) == ["unknown: spec.maxReplicas"]
    assert faults(nameless, known) == ["missing: spec.scaleTargetRef.name"]
    assert faults(number, known) == ["no string: spec.advanced.scalingModifiers.target"]


def faults(each, known):
    leaves = dict(_leaves(each["spec"], "spec"))
    allowed = set(known["fields"])
    found = [f"unknown: {path}" for path in leaves if not {path, _starred(path)} & allowed]
    have = set(leaves) | {_starred(path) for path in leaves}
    found += [f"missing: {path}" for path in known["required"] if path not in have]
    found += [
        f"no string: {path}"
        for path, value in leaves.items()
        if path.startswith(tuple(known["strings"])) and not isinstance(value, str)
    ]
    return found


def _leaves(value, path):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value


def _starred(path):
    """The path with its last key open; keys may have dots, so the place is found from the left."""
    for marker in (".matchLabels.", ".labels.", ".annotations.", ".parameters.", ".requests."):
        if marker in path:
            return f"{path.partition(marker)[0]}{marker}*"
    return f"{path.rpartition('.')[0]}.*"
