"""One simulated Crypto Pay."""

from typing import Any

from simulators.crypto_pay.api import Api
from simulators.crypto_pay.control import Control
from simulators.crypto_pay.core import Core
from simulators.crypto_pay.options import Options
from simulators.crypto_pay.page import Page
from simulators.provider.server import ProviderSimulator


class CryptoPaySimulator(ProviderSimulator[Core]):
    """`CryptoPaySimulator(webhook_url=..., time_scale=0)`: fields of Options, or an Options."""

    api_path = "/api"

    def __init__(self, *, port: int = 0, options: Options | None = None, **fields: Any) -> None:
        core = Core(options or Options(**fields))
        api = Api(core)
        routes = [*api.routes(), *Control(core).routes(), *Page(core).routes()]
        super().__init__(port, core, api.gate, routes)
        self.token = core.options.token
