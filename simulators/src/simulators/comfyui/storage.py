"""The input, output and temp folders: what uploads, saving nodes and /view do with files."""

import hashlib
import re
import shutil
from pathlib import Path

FOLDERS = ("input", "output", "temp")


class OutsideFolderError(Exception):
    """A name that would leave its folder."""


class Storage:
    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.resolve()
        for name in FOLDERS:
            self.folder(name).mkdir(parents=True, exist_ok=True)

    def folder(self, kind: str) -> Path:
        if kind not in FOLDERS:
            raise KeyError(kind)
        return self.root / kind

    def wipe_temp(self) -> None:
        shutil.rmtree(self.folder("temp"), ignore_errors=True)
        self.folder("temp").mkdir(parents=True, exist_ok=True)

    def inside(self, kind: str, subfolder: str, filename: str = "") -> Path:
        folder = self.folder(kind)
        path = (folder / subfolder / filename).resolve()
        if path != folder and folder not in path.parents:
            raise OutsideFolderError(str(path))
        return path

    def save_upload(
        self, kind: str, subfolder: str, filename: str, body: bytes, *, overwrite: bool
    ) -> str:
        """Write an uploaded file; the name it got (never another file's bytes under one name)."""
        folder = self.inside(kind, subfolder)
        path = self.inside(kind, subfolder, filename)
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite:
            stem, suffix = Path(filename).stem, Path(filename).suffix
            attempt = 1
            while path.exists():
                if path.read_bytes() == body:
                    return path.name
                path = folder / f"{stem} ({attempt}){suffix}"
                attempt += 1
        path.write_bytes(body)
        return path.name

    def annotated(self, name: str) -> Path:
        """A LoadImage value, `sub/x.png` or `x.png [output]`, as a path."""
        kind = "input"
        found = re.fullmatch(r"(.*) \[(input|output|temp)\]", name)
        if found:
            name, kind = found.group(1), found.group(2)
        return self.inside(kind, name)

    def input_names(self) -> list[str]:
        return sorted(path.name for path in self.folder("input").iterdir() if path.is_file())

    def content_hash(self, name: str) -> str:
        try:
            return hashlib.sha256(self.annotated(name).read_bytes()).hexdigest()
        except (OSError, OutsideFolderError):
            return "missing"

    def reserve(self, kind: str, prefix: str) -> tuple[Path, str, str, int]:
        """Folder, base name, subfolder and next free counter for a filename_prefix."""
        subfolder, _, base = prefix.rpartition("/")
        if prefix.startswith("/"):
            raise OutsideFolderError(prefix)
        folder = self.inside(kind, subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(re.escape(base) + r"_(\d+)_?\.[^.]*", re.IGNORECASE)
        taken = [int(m.group(1)) for p in folder.iterdir() if (m := pattern.fullmatch(p.name))]
        return folder, base, subfolder, max(taken, default=0) + 1
