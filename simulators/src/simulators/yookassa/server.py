"""One simulated YooKassa."""

from typing import Any

from simulators.provider.server import ProviderSimulator
from simulators.yookassa.api import Api
from simulators.yookassa.control import Control
from simulators.yookassa.core import Core
from simulators.yookassa.options import Options
from simulators.yookassa.page import Page


class YooKassaSimulator(ProviderSimulator[Core]):
    """`YooKassaSimulator(webhook_url=..., time_scale=0)`: fields of Options, or an Options."""

    api_path = "/v3"

    def __init__(self, *, port: int = 0, options: Options | None = None, **fields: Any) -> None:
        core = Core(options or Options(**fields))
        api = Api(core)
        super().__init__(
            port, core, api.gate, (*api.routes(), *Control(core).routes(), *Page(core).routes())
        )
        self.shop_id = core.options.shop_id
        self.secret = core.options.secret
