"""What a simulated YooKassa is started with, besides what every provider is."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulators.provider.options import Program, ProviderOptions, Setting, common, yes

DEFAULT_SHOP_ID = "506751"
DEFAULT_SECRET = "test_simulated-secret-key"


@dataclass(slots=True)
class Options(ProviderOptions):
    shop_id: str = DEFAULT_SHOP_ID
    secret: str = DEFAULT_SECRET
    # The shop sends receipts through YooKassa: a payment without one is refused (54-FZ).
    receipts: bool = False
    # So long a payment waits for the payer.
    payment_seconds: float = 3_600.0


PROGRAM = Program(
    "simulator-yookassa",
    "A YooKassa API server with a pay page and a control API, on loopback only.",
    "YOOKASSA_SIMULATOR_",
    (
        Setting("shop-id", DEFAULT_SHOP_ID, "who calls the API"),
        Setting("secret", DEFAULT_SECRET, "the secret key that goes with it"),
        Setting("receipts", "no", "yes: every payment needs a receipt"),
        Setting("payment-seconds", "3600", "so long a payment waits for the payer"),
    ),
)


def read(arguments: list[str] | None, environment: Mapping[str, str]) -> tuple[int, Options]:
    """The port and the options."""
    given = PROGRAM.read(arguments, environment)
    options = Options(
        **common(given),
        shop_id=given["shop_id"],
        secret=given["secret"],
        receipts=yes(given["receipts"]),
        payment_seconds=float(given["payment_seconds"]),
    )
    return int(given["port"]), options
