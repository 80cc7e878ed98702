"""The currencies of Crypto Pay and what one is worth in another, as a test has set it."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulators.provider.money import plain, positive
from simulators.telegram.errors import ControlError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    usd: Decimal
    decimals: int
    stable: bool = False


ASSETS = {
    "USDT": Asset("Tether", Decimal(1), 6, stable=True),
    "TON": Asset("Toncoin", Decimal("2.5"), 9),
    "BTC": Asset("Bitcoin", Decimal(100_000), 8),
    "ETH": Asset("Ethereum", Decimal(4_000), 8),
    "LTC": Asset("Litecoin", Decimal(100), 8),
    "BNB": Asset("Binance Coin", Decimal(1_000), 8),
    "TRX": Asset("Tron", Decimal("0.3"), 6),
    "USDC": Asset("USD Coin", Decimal(1), 6, stable=True),
}
TEST_ASSETS = {"JET": Asset("JET", Decimal("0.01"), 9)}
SWAPS = ("USDT", "TON", "TRX", "ETH", "SOL", "BTC", "LTC")
# Units of the currency for one US dollar.
FIATS = {
    "USD": Decimal(1),
    "EUR": Decimal("0.9"),
    "RUB": Decimal(80),
    "BYN": Decimal("3.2"),
    "UAH": Decimal(41),
    "GBP": Decimal("0.8"),
    "CNY": Decimal("7.2"),
    "KZT": Decimal(520),
    "UZS": Decimal(12_500),
    "GEL": Decimal("2.7"),
    "TRY": Decimal(42),
    "AMD": Decimal(385),
    "THB": Decimal(33),
    "INR": Decimal(88),
    "BRL": Decimal("5.4"),
    "IDR": Decimal(16_500),
    "AZN": Decimal("1.7"),
    "AED": Decimal("3.67"),
    "PLN": Decimal("3.7"),
    "ILS": Decimal("3.4"),
}
FIAT_DECIMALS = 8
RATE_DECIMALS = Decimal("0.00000001")


@dataclass(slots=True)
class Rates:
    """Fair rates from the table, unless a pair was set; None means: no rate is published."""

    assets: dict[str, Asset]
    set_pairs: dict[tuple[str, str], Decimal | None] = field(default_factory=dict)
    stale: set[tuple[str, str]] = field(default_factory=set)

    def rate(self, source: str, target: str) -> Decimal | None:
        if (source, target) in self.set_pairs:
            return self.set_pairs[source, target]
        return (self.assets[source].usd * FIATS[target]).quantize(RATE_DECIMALS)

    def usable(self, source: str, target: str) -> Decimal | None:
        """The rate when it is up to date; Crypto Pay itself does not price at a stale one."""
        return None if (source, target) in self.stale else self.rate(source, target)

    def usd(self, source: str) -> Decimal:
        return self.rate(source, "USD") or self.assets[source].usd

    def set(self, pair: str, rate: Any) -> None:
        """`USDT/RUB` to a number, or to None: no such rate is published."""
        source, _, target = pair.partition("/")
        if source not in self.assets or target not in FIATS:
            raise ControlError(f"unknown pair {pair!r}; write it as USDT/RUB")
        value = None if rate is None else positive(rate)
        if rate is not None and value is None:
            raise ControlError(f"{pair}: a positive number is needed, or null")
        self.set_pairs[source, target] = value

    def set_valid(self, pair: str, *, valid: bool) -> None:
        source, _, target = pair.partition("/")
        if valid:
            self.stale.discard((source, target))
        else:
            self.stale.add((source, target))

    def clear(self) -> None:
        self.set_pairs.clear()
        self.stale.clear()

    def view(self) -> list[Json]:
        return [
            {
                "is_valid": (source, target) not in self.stale,
                "is_crypto": True,
                "is_fiat": False,
                "source": source,
                "target": target,
                "rate": plain(rate),
            }
            for source in self.assets
            for target in FIATS
            if (rate := self.rate(source, target)) is not None
        ]

    def currencies(self) -> list[Json]:
        crypto = [
            {
                "is_blockchain": not asset.stable,
                "is_stablecoin": asset.stable,
                "is_fiat": False,
                "name": asset.name,
                "code": code,
                "decimals": asset.decimals,
            }
            for code, asset in self.assets.items()
        ]
        fiat = [
            {
                "is_blockchain": False,
                "is_stablecoin": False,
                "is_fiat": True,
                "name": code,
                "code": code,
                "decimals": FIAT_DECIMALS,
            }
            for code in FIATS
        ]
        return crypto + fiat
