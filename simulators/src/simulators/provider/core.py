"""What one simulated shop at a provider consists of, whichever provider it is."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from simulators.provider.calls import CallLog
from simulators.provider.faults import Faults
from simulators.provider.options import ProviderOptions
from simulators.provider.webhooks import Sender
from simulators.telegram.clock import SimClock
from simulators.telegram.store import Store

AnyOptions = TypeVar("AnyOptions", bound=ProviderOptions)
AnyFaults = TypeVar("AnyFaults", bound=Faults[Any])
AnySender = TypeVar("AnySender", bound=Sender[Any])


class ProviderCore(ABC, Generic[AnyOptions, AnyFaults, AnySender]):
    def __init__(self, options: AnyOptions, faults: AnyFaults, sender: type[AnySender]) -> None:
        self.options = options
        self.base_url = options.public_url
        self.clock = SimClock()
        self.store = Store(options.state)
        self.faults = faults
        self.webhooks = sender(options, faults, self.clock)
        self.calls = CallLog()

    @abstractmethod
    def clear(self) -> None:
        """Forget what this provider has besides."""

    async def live(self) -> None:
        """What happens by itself, as time goes by."""
        return

    async def reset(self) -> None:
        """As just started, but ids go on from where they are and the clock stays."""
        await self.webhooks.reset()
        self.clear()
        self.faults.reset()
        self.calls.clear()
        self.store.forget()

    async def close(self) -> None:
        await self.webhooks.close()
        self.store.close()
