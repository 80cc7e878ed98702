"""What accountants get is what the books say, in either format, for the period asked for."""

import csv
from datetime import timedelta

import pytest
from pyarrow import parquet

from billing.adapters.exports import KINDS, export
from billing.testing import ORBIT


@pytest.fixture
async def period(postgres_desk):
    desk = postgres_desk
    await desk.open(1, amount=60)
    await desk.succeed(await desk.placed(1, workflow=ORBIT))
    before = desk.now - timedelta(days=1)
    return desk, before, before + timedelta(days=2)


async def transfers(desk) -> list[tuple[int, int, str, int]]:
    async with desk.database.read() as connection:
        rows = await connection.fetch(
            "SELECT user_id, number, kind, amount FROM transfers ORDER BY at, user_id, number"
        )
    return [tuple(row) for row in rows]


async def test_a_csv_holds_every_transfer_of_the_period(period, tmp_path):
    desk, since, until = period
    path = tmp_path / "transfers.csv"

    count = await export(desk.database, "transfers", since, until, path)

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [(int(r["user_id"]), int(r["number"]), r["kind"], int(r["amount"])) for r in rows]
    assert found == await transfers(desk)
    assert count == len(rows) > 0


async def test_parquet_says_the_same_with_types(period, tmp_path):
    desk, since, until = period
    path = tmp_path / "transfers.parquet"

    await export(desk.database, "transfers", since, until, path)

    rows = parquet.read_table(path).to_pylist()
    found = [(row["user_id"], row["number"], row["kind"], row["amount"]) for row in rows]
    assert found == await transfers(desk)
    assert rows[0]["at"].tzinfo is not None


async def test_parquet_without_pyarrow_says_where_it_is(period, tmp_path, monkeypatch):
    desk, since, until = period
    monkeypatch.setattr("billing.adapters.exports.find_spec", lambda _name: None)

    with pytest.raises(ValueError, match="operator's image"):
        await export(desk.database, "transfers", since, until, tmp_path / "transfers.parquet")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
async def test_a_period_without_rows_is_an_empty_table(period, tmp_path, kind, suffix):
    desk, since, _ = period
    path = tmp_path / f"nothing{suffix}"

    assert await export(desk.database, kind, since, since, path) == 0
    assert path.stat().st_size > 0


async def test_another_format_is_refused_before_anything_is_written(period, tmp_path):
    desk, since, until = period
    path = tmp_path / "books.xlsx"

    with pytest.raises(ValueError, match=r"only \.csv and \.parquet"):
        await export(desk.database, "charges", since, until, path)

    assert not path.exists()


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
async def test_a_spreadsheet_finds_no_formula_in_a_csv(period, tmp_path, begins):
    desk, since, until = period
    reason = begins + 'HYPERLINK("x")'
    await desk.grant(1, 5, grant_key="hostile", reason=reason)
    path = tmp_path / "transfers.csv"

    await export(desk.database, "transfers", since, until, path)

    with path.open(newline="", encoding="utf-8") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert f"'{reason}" in reasons
    assert not any(each.startswith(begins) for each in reasons)


async def test_figures_below_zero_stay_figures(period, tmp_path):
    desk, since, until = period
    path = tmp_path / "adjustments.csv"
    async with desk.database.read() as connection:
        await connection.execute(
            "INSERT INTO adjustments VALUES (gen_random_uuid(), 1, -7, 'x', 'op', '', 0, $1)",
            desk.now,
        )

    await export(desk.database, "adjustments", since, until, path)

    with path.open(newline="", encoding="utf-8") as file:
        assert [row["credits"] for row in csv.DictReader(file)] == ["-7"]
