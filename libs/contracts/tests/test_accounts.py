"""Accounts are the permissions again: nothing more crosses a border, and nothing less."""

import pytest

from contracts import accounts, permissions, topology
from contracts.accounts import MODES, SEPARATE, SERVICE, SHARED, STREAM, Import
from contracts.permissions import ACCOUNT, USERS

BY_NAME = {account.name: account for account in accounts.accounts(SEPARATE)}
ACKS = ("$JS.ACK.", "$JS.FC.")


def test_every_user_has_an_account_and_the_streams_keep_theirs() -> None:
    assert set(BY_NAME) == {ACCOUNT, *(user.upper() for user in USERS)}
    assert [name for name, each in BY_NAME.items() if each.owns_streams] == [ACCOUNT]
    assert BY_NAME[ACCOUNT].users == ()


def test_in_the_shared_one_is_everybody_and_the_others_only_wait_to_be_moved_into() -> None:
    shared, *empty = accounts.accounts(SHARED)
    assert (shared.name, shared.users) == (ACCOUNT, permissions.grants())
    assert {each.name for each in empty} == set(BY_NAME) - {ACCOUNT}
    assert not any(each.users or each.owns_streams for each in empty)
    assert not any(each.imports or each.exports for each in (shared, *empty))


@pytest.mark.parametrize("mode", MODES)
def test_a_user_is_in_the_account_it_is_said_to_be_in(mode: str) -> None:
    for account in accounts.accounts(mode):
        for grants in account.users:
            assert accounts.account_of(grants.user, mode) == account.name


def test_who_cannot_be_told_apart_is_no_mode() -> None:
    with pytest.raises(ValueError, match="shared or separate"):
        accounts.accounts("both")


def test_each_import_meets_one_export_for_that_account_alone() -> None:
    wanted = {
        (each.account, each.kind, each.subject, name)
        for name, account in BY_NAME.items()
        for each in account.imports
    }
    given = {
        (name, each.kind, each.subject, to)
        for name, account in BY_NAME.items()
        for each in account.exports
        for to in each.to
    }
    assert wanted == given
    assert {to for *_, to in given} <= set(BY_NAME) - {ACCOUNT}


def test_an_import_is_never_wider_than_what_its_user_may_publish_or_hear() -> None:
    for grants in permissions.grants():
        for each in BY_NAME[grants.user.upper()].imports:
            if each == Import(kind=SERVICE, account=ACCOUNT, subject="$JS.API.INFO"):
                continue  # which the user may not ask for
            allowed = grants.publish if each.kind == SERVICE else grants.subscribe
            asked = each.subject.partition(".rpc.")
            assert each.subject in allowed or f"*.rpc.{asked[2]}" in allowed, each


def test_what_a_user_publishes_crosses_the_border_once() -> None:
    """Two imports of the same would be two messages."""
    for account in BY_NAME.values():
        crossing = [each.subject for each in account.imports if each.kind == SERVICE]
        # The second form of an ack subject fits the first one's pattern on paper alone: a number
        # is where it has a stream.
        plain = [each for each in crossing if not each.startswith(ACKS)]
        assert len(set(crossing)) == len(crossing)
        for place, one in enumerate(plain):
            assert not [each for each in plain[:place] if accounts.overlap(one, each)], one


def test_whatever_a_stream_stores_is_taken_to_it() -> None:
    kept = [subject for stream in topology.streams() for subject in stream.subjects]
    for grants in permissions.grants():
        imported = {each.subject for each in BY_NAME[grants.user.upper()].imports}
        for subject in grants.publish:
            if subject.split(".")[1] != "rpc" and any(accounts.overlap(subject, k) for k in kept):
                assert subject in imported


def test_only_the_streams_account_reaches_into_an_inbox_and_only_a_watcher_s() -> None:
    heard = {
        (name, each.account, each.subject)
        for name, account in BY_NAME.items()
        for each in account.imports
        if each.kind == STREAM
    }
    assert heard == {
        ("GATEWAY", ACCOUNT, "_INBOX_gateway.>"),
        ("GATEWAY", "GENERATOR", "progress.>"),
        *(
            ("OPERATOR", subject.split(".")[0].upper(), subject)
            for subject in permissions.HEARD["operator"]
        ),
    }


def test_only_a_test_s_user_sees_more() -> None:
    plain, asking = (accounts.accounts(SEPARATE, asking=each) for each in (False, True))
    assert plain[0].imports == ()
    assert {each.subject for each in asking[0].imports} >= {"billing.rpc.>", "progress.*.*"}
    assert [each.imports for each in plain[1:]] == [each.imports for each in asking[1:]]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "*.b", True),
        ("a.*.c", "a.b.*", True),
        ("a", "a.b", False),
        ("a.>", "a", False),
        ("a.*", "a.b.c", False),
        ("a.b.>", "a.c.>", False),
    ],
)
def test_patterns_overlap(one: str, other: str, *, meet: bool) -> None:
    assert accounts.overlap(one, other) is accounts.overlap(other, one) is meet
