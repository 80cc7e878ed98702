"""Everything one simulated app consists of, in one place for its methods and its control API."""

from simulators.crypto_pay.currencies import ASSETS, TEST_ASSETS, Rates
from simulators.crypto_pay.faults import Faults
from simulators.crypto_pay.invoices import Invoices
from simulators.crypto_pay.options import Options
from simulators.crypto_pay.wallet import Wallet
from simulators.crypto_pay.webhooks import WebhookSender
from simulators.provider.core import ProviderCore


class Core(ProviderCore[Options, Faults, WebhookSender]):
    def __init__(self, options: Options) -> None:
        super().__init__(options, Faults(options.seed), WebhookSender)
        self.app_id = int(options.token.partition(":")[0])
        self.assets = {**ASSETS, **(TEST_ASSETS if options.testnet else {})}
        self.rates = Rates(self.assets)
        self.invoices = Invoices(self.clock, self.store)
        self.wallet = Wallet(list(self.assets), options.balance, self.store)
        self.transfers_enabled = options.transfers

    def clear(self) -> None:
        self.invoices.clear()
        self.wallet.clear()
        self.rates.clear()
        self.transfers_enabled = self.options.transfers
