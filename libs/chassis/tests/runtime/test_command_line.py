"""What an operator asks for by hand ends with a code, and with a sentence when it goes wrong."""

import argparse

import pytest

from chassis.command_line import EXIT_NO_ANSWER, dispatch, words
from chassis.errors import ConfigurationError, TransientError
from chassis.service import EXIT_MISCONFIGURED


def asked(command, own=None, **others):
    done = []
    chosen = argparse.Namespace(command=command, work=own)
    ways = {way: lambda way=way: done.append(way) for way in ("run", "migrate")}
    dispatch(chosen, name="toy", **ways, **others)
    return done


@pytest.mark.parametrize(("command", "does"), [(None, "run"), ("run", "run"), ("migrate",) * 2])
def test_a_service_runs_or_migrates_without_other_work(command, does):
    assert asked(command) == [does]


@pytest.mark.parametrize("own", [True, False], ids=["of the command", "of the service"])
def test_other_work_ends_with_its_own_code(own):
    async def seven(_chosen):
        return 7

    with pytest.raises(SystemExit) as ended:
        asked("list", seven) if own else asked("list", None, work=seven)

    assert ended.value.code == 7


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TransientError("no server"), EXIT_NO_ANSWER, "is toy running? (no server)"),
        (ConfigurationError("no key"), EXIT_MISCONFIGURED, "configuration: no key"),
    ],
)
def test_what_goes_wrong_is_a_sentence(error, code, said, capsys):
    async def fail(_chosen):
        raise error

    with pytest.raises(SystemExit) as ended:
        asked("list", fail)

    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_a_reason_says_something():
    assert words(" a gift ") == "a gift"
    with pytest.raises(argparse.ArgumentTypeError):
        words("  ")
