"""Drops privileges, ties its life to its parent's, and becomes the given command.

Run as a script: `python -I -S die_with_parent.py SIGNAL PARENT UID GID COMMAND...` (UID -1: keep).
A script between fork and exec, because a preexec_fn runs Python in a forked copy of a process
that may have threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    death_signal, parent, uid, gid = (int(word) for word in sys.argv[1:5])
    command = sys.argv[5:]
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, because the kernel forgets the death signal at every such change.
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the line above; then nobody would ever send the signal.
    if os.getppid() != parent:
        sys.exit(f"parent {parent} is gone")
    os.execvp(command[0], command)  # noqa: S606 (no shell is meant)


if __name__ == "__main__":
    main()
