"""What a simulated Crypto Pay is started with, besides what every provider is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from simulators.provider.options import Program, ProviderOptions, Setting, common, yes

DEFAULT_TOKEN = "12345:AAsimulated-crypto-pay-token"


@dataclass(slots=True)
class Options(ProviderOptions):
    token: str = DEFAULT_TOKEN
    testnet: bool = False
    fee_percent: Decimal = Decimal(3)
    # What the app holds at first, so that a refund can be paid out.
    balance: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(1_000)})
    transfers: bool = True


PROGRAM = Program(
    "simulator-crypto-pay",
    "A Crypto Pay API server with a pay page and a control API, on loopback only.",
    "CRYPTO_PAY_SIMULATOR_",
    (
        Setting("token", DEFAULT_TOKEN, "the app's API token, <app id>:<secret>"),
        Setting("testnet", "no", "yes: with the asset JET and the name of the test bot"),
        Setting("fee-percent", "3", "of every payment"),
        Setting("balance", "USDT=1000", "what the app holds at first: USDT=1000,TON=5"),
        Setting("transfers", "yes", "no: the method transfer answers METHOD_DISABLED"),
    ),
)


def read(arguments: list[str] | None, environment: Mapping[str, str]) -> tuple[int, Options]:
    """The port and the options."""
    given = PROGRAM.read(arguments, environment)
    options = Options(
        **common(given),
        token=given["token"],
        testnet=yes(given["testnet"]),
        fee_percent=Decimal(given["fee_percent"]),
        balance=read_balance(given["balance"]),
        transfers=yes(given["transfers"]),
    )
    return int(given["port"]), options


def read_balance(text: str) -> dict[str, Decimal]:
    pairs = (pair.split("=", 1) for pair in text.split(",") if pair)
    return {asset.strip(): Decimal(amount) for asset, amount in pairs}
