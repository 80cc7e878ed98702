"""What an image adds to its base: how much, and every file of it."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vitrine_tools.images import podman

GZIP_LEVEL = 6


@dataclass(slots=True)
class Added:
    disk_bytes: int = 0
    fetched_bytes: int = 0
    """As gzip makes them: what a node that has the base fetches."""
    files: dict[str, str] = field(default_factory=dict)
    """Path to mode, owner and content; a file that a later layer hides is here all the same."""

    @property
    def tree(self) -> str:
        """One sum over everything: equal for two images that hold the same."""
        lines = "\n".join(f"{path} {what}" for path, what in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def above(base: str, image: str) -> Added:
    """Raises CalledProcessError when podman knows no such image."""
    known = set(podman.inspect(base)["RootFS"]["Layers"])
    added = Added()
    with tempfile.TemporaryDirectory(dir=podman.scratch()) as scratch:
        archive = Path(scratch) / "image.tar"
        podman.run("save", "--quiet", "--format=docker-archive", "-o", str(archive), image)
        with tarfile.open(archive) as content:
            manifest = json.load(_member(content, "manifest.json"))[0]
            config = json.load(_member(content, manifest["Config"]))
            layers = zip(config["rootfs"]["diff_ids"], manifest["Layers"], strict=True)
            for digest, name in layers:
                if digest not in known:
                    _read(_member(content, name), added)
    return added


def _read(layer: IO[bytes], added: Added) -> None:
    compressor = zlib.compressobj(GZIP_LEVEL)
    while chunk := layer.read(1 << 20):
        added.fetched_bytes += len(compressor.compress(chunk))
    added.fetched_bytes += len(compressor.flush())
    layer.seek(0)
    with tarfile.open(fileobj=layer) as content:
        for entry in content:
            stream = content.extractfile(entry) if entry.isreg() else None
            data = stream.read() if stream is not None else entry.linkname.encode()
            added.disk_bytes += entry.size
            rights = f"{entry.mode & 0o7777:o} {entry.uid}:{entry.gid}"
            added.files[entry.name] = f"{rights} {hashlib.sha256(data).hexdigest()}"


def _member(content: tarfile.TarFile, name: str) -> IO[bytes]:
    found = content.extractfile(name)
    assert found is not None, name
    return found
