"""The unprivileged system user that runs Postgres when we are root, and what it can reach."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import StartError

ACCOUNT_NAME = "vitrine-postgres"
CREATE_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int


def postgres_account() -> Account | None:
    """The user Postgres runs as: None means ourselves, because Postgres refuses only root."""
    if os.geteuid() != 0:
        return None
    deadline = time.monotonic() + CREATE_TIMEOUT_SECONDS
    complaint = ""
    while (account := _find()) is None:
        if time.monotonic() > deadline:
            raise StartError(f"cannot create the system user {ACCOUNT_NAME}: {complaint}")
        complaint = _create()
    return account


def _find() -> Account | None:
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> str:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    # Two test workers may try at once; the loser of the password file's lock looks again.
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        time.sleep(0.1)
    return answer.stderr.strip()


def account_home(account: Account) -> Path:
    """A folder of the account's own, for what it must reach and cannot reach where it is."""
    for parent in _roots():
        home = parent / ACCOUNT_NAME
        if not os.path.lexists(home) and os.access(parent, os.W_OK):
            _create_home(account, home)
        # Anybody may put something of this name into a shared temporary directory.
        ours = not home.is_symlink() and home.is_dir() and home.stat().st_uid == account.uid
        if ours and can_reach(account, home):
            return home
    raise StartError(f"no folder that {account.name} could reach")


def _create_home(account: Account, home: Path) -> None:
    # Complete before it has its name, so that a second process never sees it half made.
    draft = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    os.chown(draft, account.uid, account.gid)
    draft.chmod(0o755)
    try:
        draft.rename(home)
    except OSError:
        draft.rmdir()


def _roots() -> Iterator[Path]:
    yield Path("/var/lib")
    yield Path("/var/tmp")  # noqa: S108 (checked for its owner before use)
    yield Path(tempfile.gettempdir())


def can_reach(account: Account, path: Path) -> bool:
    """Whether the account may walk to this path, judged by the mode of every folder above it."""
    return all(_may_enter(account, parent.stat()) for parent in path.resolve().parents)


def _may_enter(account: Account, status: os.stat_result) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def own_folder(account: Account | None, folder: Path) -> None:
    """Create a folder that the account alone may enter."""
    folder.mkdir(mode=0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def reachable_copy(account: Account, root: Path, parts: Sequence[str], name: str) -> Path:
    """A folder with these parts of `root`: itself when the account can reach it, else a copy.

    The copy is made once, in the account's home, with the parts at the same places.
    """
    if can_reach(account, root / parts[0] / "any"):
        return root
    copy = account_home(account) / name
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=copy.parent))
        for part in parts:
            shutil.copytree(root / part, draft / part, symlinks=True)
        _open_for_reading(draft)
        try:
            draft.rename(copy)
        except OSError:
            shutil.rmtree(draft)
            if not copy.exists():  # else another process was faster with the same content
                raise
    return copy


def _open_for_reading(tree: Path) -> None:
    # A umask of 077 at install time leaves files the account could not read: widen the copy only.
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644))
