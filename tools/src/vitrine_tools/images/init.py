"""The first process of a container: passes signals on, buries orphans, ends as its child ends.

A service could not be process 1 itself: the kernel drops a SIGTERM that process 1 has no handler
for, and a service has none while it imports; and nobody would reap what its children leave behind.
"""

import os
import signal
import sys

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
NOT_FOUND = 127


def main() -> int:
    command = sys.argv[1:]
    if not command:
        sys.stderr.write("init: no command\n")
        return NOT_FOUND
    # Blocked until the child's number is known: a signal in between would be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if child == 0:
        become(command)
    for number in FORWARDED:
        signal.signal(number, lambda received, _frame: send(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    return wait_for(child)


def become(command: list[str]) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    try:
        os.execvp(command[0], command)  # noqa: S606 (no shell is meant)
    except OSError as error:
        os.write(2, f"init: {command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND)


def send(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return


def wait_for(child: int) -> int:
    """Reap whatever ends, until the child does; what is left then ends with the container."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return (
                os.waitstatus_to_exitcode(status) % 256
                if os.WIFEXITED(status)
                else (128 + os.WTERMSIG(status))
            )


if __name__ == "__main__":
    sys.exit(main())
