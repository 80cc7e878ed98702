"""What an operator asks for is judged before it is sent."""

import pytest

from vpn import cli


@pytest.mark.parametrize("days", ["0", "-1", "3661", "1.5", "many", "\u0661"])
def test_days_nobody_can_give_are_refused_at_once(days: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        cli.main(["extend", "--reason", "sorry", "--", days])

    assert ended.value.code == 2
    assert f"'{days}' is not between 1 and 3660 days" in capsys.readouterr().err


def test_days_are_not_given_without_a_reason(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["extend", "3", "--reason", " "])

    assert "say why" in capsys.readouterr().err
