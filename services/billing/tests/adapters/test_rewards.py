import pytest

from billing.adapters import shop_file
from billing.adapters.audit import audit
from billing.adapters.postgres_rewards import SQL, CodeTakenError, PostgresRewardReads
from billing.domain.reward_terms import RewardTerms
from chassis.errors import ConfigurationError


@pytest.mark.parametrize("name", SQL)
async def test_every_query_is_accepted_by_the_schema(database, name):
    async with database.read() as connection:
        await connection.prepare(SQL[name])


async def test_a_referral_code_somebody_has_is_not_given_again(postgres_desk):
    await postgres_desk.open(1, 2)
    reads = PostgresRewardReads(postgres_desk.database)
    await reads.standing(1, "AAAAAAAA")

    with pytest.raises(CodeTakenError):
        await reads.standing(2, "AAAAAAAA")

    assert (await reads.standing(2, "BBBBBBBB")).code == "BBBBBBBB"
    assert (await reads.standing(1, "CCCCCCCC")).code == "AAAAAAAA"


TAMPERED = {
    "INSERT INTO gifts "
    "VALUES (gen_random_uuid(), 'A', 1, 5, '[]', 'waiting', NULL, now(), now())": {
        "gifts = their transfers"
    },
    "INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, reason, at) "
    "VALUES (1, 2, 1, 5, 'available', 'house:gifts_waiting', 'gift', 'gift:x', now())": {
        "gifts = their transfers",
        "lots = balances = replay",
        "each lot = its replay",
    },
    "INSERT INTO discounts VALUES (1, 'k', 50, now(), gen_random_uuid(), now())": {
        "discounts = orders that use them"
    },
    "INSERT INTO promo_uses VALUES ('AUTUMN', 1, now())": {"promo codes = their uses"},
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_the_audit_sees_what_was_given_without_its_record(postgres_desk, statement):
    await postgres_desk.open(1)
    async with postgres_desk.database.read() as connection:
        before = await audit(connection)
        await connection.execute(statement)

        report = await audit(connection)

    assert before.healthy
    assert {check.name for check in report.checks if check.broken_by} == TAMPERED[statement]


def shop(folder, text):
    (folder / "shop.toml").write_text(text)
    return shop_file.load(folder)


def test_terms_come_from_the_shops_file(tmp_path):
    rewards = shop(
        tmp_path,
        '[gift]\nvalid = "P7D"\n[referral]\npercent = 20\n[draw]\n'
        "percent = {SSR = 60, SR = 30, R = 15, C = 1}\n[promo]\nwrong_max = 3\n",
    ).rewards

    assert (rewards.gift.valid.days, rewards.referral.percent) == (7, 20)
    assert (rewards.draw.percent["SSR"], rewards.promo.wrong_max) == (60, 3)
    assert rewards.referral.hold == RewardTerms().referral.hold


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[draw]\npercent = {SSR = 60}", "draw.percent"),
        ("[draw]\npercent = {SSR = 101, SR = 30, R = 15, C = 1}", "draw.percent"),
        ("[referral]\npercent = 101", "referral.percent"),
        ('[referral]\nhold = "-P1D"', "referral.hold"),
        ("[referral]\ncap_credits = -1", "referral.cap_credits"),
        ("[gift]\nleast_credits = 0", "gift.least_credits"),
        ('[gift]\nvalid = "P0D"', "gift.valid"),
        ("[promo]\nwrong_max = 0", "promo.wrong_max"),
        ("[promo]\nwrong = 3", "promo.wrong"),
    ],
)
def test_terms_that_make_no_sense_are_refused_with_the_field(tmp_path, text, field):
    with pytest.raises(ConfigurationError, match=field):
        shop(tmp_path, text)
