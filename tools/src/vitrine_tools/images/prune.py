"""Takes out of installed packages what no image ever reads, and half of their size with it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

SOURCES = frozenset({".pyx", ".pxd", ".pxi", ".pyi", ".c", ".h", ".cpp", ".hpp", ".a"})
LOCALES = "babel/locale-data"
ALWAYS = ("root",)
# Nobody here reads or writes AVIF, and rarer decoders are where the holes are found.
# Nor draws a letter, speaks pydantic's first version, or any of Google's own APIs. What cffi and
# pycparser are needed for was done before a wheel was made. gRPC is spoken on this machine alone,
# without TLS, hence without authorities; its beta is ten years old. Telemetry's own names are
# `otel_*`; the others stand there for those who instrument databases and clouds. Of an unknown
# charset, Python is as good a judge as compiled Python.
UNUSED = (
    "PIL/_avif.*.so",
    "pillow.libs/libavif-*.so*",
    "PIL/_imagingft.*.so",
    "pillow.libs/libharfbuzz-*.so*",
    "pillow.libs/libfreetype-*.so*",
    "pydantic/v1/**/*.py",
    "google/api/**/*",
    "google/cloud/**/*",
    "google/logging/**/*",
    "google/longrunning/**/*",
    "google/type/**/*",
    "cffi/**/*",
    "pycparser/**/*",
    "grpc/_cython/_credentials/roots.pem",
    "grpc/beta/**/*",
    "grpc/framework/**/*",
    "opentelemetry/semconv/_incubating/*/[!_o]*.py",
    "opentelemetry/semconv/_incubating/*/o[!t]*.py",
    "opentelemetry/semconv/trace/*.py",
    # What describes descriptions is asked for options, which nobody here gives a message.
    "google/protobuf/descriptor_pb2.py",
    "google/protobuf/**/*.proto",
    "google/protobuf/**/*_benchmark.py",
    "charset_normalizer/*.so",
    "*__mypyc.*.so",
    "aiohttp/test_utils.py",
    "aiohttp/pytest_plugin.py",
    "asyncpg/_testbase/*.py",
    "asyncpg/cluster.py",
    "uvloop/_testbase.py",
    "nats/micro/*.py",
    "urllib3/contrib/emscripten/*",
    "pydantic/mypy.py",
    "*.dist-info/RECORD",
)
"""RECORD too: it lists what was unpacked, not what is left of it."""
DESCRIBED = b"\n\n"
"""After the fields of METADATA: a page for the index to show."""
ELF_64_LITTLE = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


def prune(site_packages: Path, languages: tuple[str, ...]) -> None:
    for folder in list(site_packages.rglob("tests")):
        if folder.is_dir():
            shutil.rmtree(folder)
    for path in list(site_packages.rglob("*")):
        if path.is_file() and path.suffix in SOURCES:
            path.unlink()
    for path in sorted(set(_unused(site_packages, languages))):
        path.unlink()
    for path in site_packages.glob("*.dist-info/METADATA"):
        path.write_bytes(path.read_bytes().partition(DESCRIBED)[0].rstrip(b"\n") + b"\n")
    for path in site_packages.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            strip(path)


def _unused(site_packages: Path, languages: tuple[str, ...]) -> Iterator[Path]:
    for pattern in UNUSED:
        yield from (path for path in site_packages.glob(pattern) if path.is_file())
    for path in site_packages.glob(f"{LOCALES}/*.dat"):
        if path.stem.split("_")[0] not in {*ALWAYS, *languages}:
            yield path


def strip(path: Path) -> None:
    """Cut off what follows the last segment: section headers, symbols and debug information.

    A loader reads segments alone. Done here because a base image has no `strip`.
    """
    data = path.read_bytes()
    if not data.startswith(ELF_64_LITTLE):
        return
    header = list(_HEADER.unpack_from(data))
    segments_at, size_of_one, count = header[5], header[9], header[10]
    end = segments_at + size_of_one * count
    for number in range(count):
        segment = _SEGMENT.unpack_from(data, segments_at + size_of_one * number)
        end = max(end, segment[2] + segment[5])
    if end >= len(data):
        return
    header[6], header[11], header[12], header[13] = 0, 0, 0, 0
    path.write_bytes(_HEADER.pack(*header) + data[_HEADER.size : end])
