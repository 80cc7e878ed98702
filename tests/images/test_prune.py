"""What is pruned is gone, and what is stripped still loads."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vitrine_tools.images import podman, prune


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    for name in (
        "one/__init__.py",
        "one/types.pyi",
        "one/fast.c",
        "one/tests/test_it.py",
        "pydantic/v1/main.py",
        "google/api/http_pb2.py",
        "google/rpc/code_pb2.py",
        "babel/locale-data/root.dat",
        "babel/locale-data/ru_RU.dat",
        "babel/locale-data/de.dat",
        "cffi/api.py",
        "_cffi_backend.py",
        "grpc/_cython/_credentials/roots.pem",
        "certifi/cacert.pem",
        "opentelemetry/semconv/_incubating/metrics/k8s_metrics.py",
        "opentelemetry/semconv/_incubating/metrics/otel_metrics.py",
        "opentelemetry/semconv/_incubating/metrics/__init__.py",
        "opentelemetry/semconv/resource/__init__.py",
        "one-1.dist-info/RECORD",
        "one-1.dist-info/licenses/LICENSE",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def test_only_what_is_read_at_run_time_stays(site_packages: Path) -> None:
    prune.prune(site_packages, ("en", "ru"))

    assert {str(p.relative_to(site_packages)) for p in site_packages.rglob("*") if p.is_file()} == {
        "one/__init__.py",
        "google/rpc/code_pb2.py",
        "babel/locale-data/root.dat",
        "babel/locale-data/ru_RU.dat",
        "_cffi_backend.py",
        "certifi/cacert.pem",
        "opentelemetry/semconv/_incubating/metrics/otel_metrics.py",
        "opentelemetry/semconv/_incubating/metrics/__init__.py",
        "opentelemetry/semconv/resource/__init__.py",
        "one-1.dist-info/licenses/LICENSE",
    }


def test_metadata_keeps_its_fields_and_no_page(tmp_path: Path) -> None:
    fields = "Metadata-Version: 2.1\nName: one\nVersion: 1\nLicense: MIT\n        more of it\n"
    for name, page in (("one", "\n# One\n\nName: no field\n"), ("two", "")):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(fields + page)

    prune.prune(tmp_path, ("en",))

    assert [path.read_text() for path in tmp_path.glob("*/METADATA")] == [fields, fields]


def test_a_stripped_library_is_smaller_and_still_loads(tmp_path: Path) -> None:
    found = importlib.util.find_spec("uvloop")
    assert found is not None
    assert found.origin is not None
    copy = tmp_path / "uvloop"
    shutil.copytree(Path(found.origin).parent, copy)
    library = next(copy.glob("loop.*.so"))
    before = library.stat().st_size

    prune.strip(library)

    assert library.stat().st_size < before / 2
    works = "import asyncio, uvloop; print(uvloop.__file__, uvloop.run(asyncio.sleep(0, 'ran')))"
    printed = subprocess.run(
        [sys.executable, "-c", works],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.split() == [str(copy / "__init__.py"), "ran"]


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + b"\0" * 64])
def test_what_is_no_library_of_ours_is_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some.so"
    file.write_bytes(content)

    prune.strip(file)

    assert file.read_bytes() == content


def test_podman_asks_for_no_more_than_this_process_may_have() -> None:
    import resource

    text = podman.configuration()

    for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        limit = int(text.partition(f'"{name}=')[2].partition(":")[0])
        hard = resource.getrlimit(kind)[1]
        assert limit > 0
        assert hard == resource.RLIM_INFINITY or limit <= hard
