"""What the app holds, and the transfers it has sent from it: this is how a refund is paid."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.provider.money import plain
from simulators.telegram.store import Store

TRANSFER = "transfer"
BALANCE = "balance"


@dataclass(slots=True)
class Transfer:
    transfer_id: int
    spend_id: str
    user_id: int
    asset: str
    amount: str
    completed_at: float
    comment: str | None = None


class Wallet:
    def __init__(self, assets: list[str], first: dict[str, Decimal], store: Store) -> None:
        self._assets = assets
        self._first = first
        self._store = store
        self.transfers: dict[int, Transfer] = {}
        self._spent: dict[str, int] = {}
        self._last_id = 0
        # People who never opened the bot cannot be sent anything.
        self.strangers: set[int] = set()
        self._held = self._at_first()
        for body in store.load(BALANCE):
            self._held |= {asset: Decimal(amount) for asset, amount in body.items()}
        for body in sorted(store.load(TRANSFER), key=lambda body: int(body["transfer_id"])):
            self._take(Transfer(**body))

    def _at_first(self) -> dict[str, Decimal]:
        return {asset: self._first.get(asset, Decimal(0)) for asset in self._assets}

    def held(self, asset: str) -> Decimal:
        return self._held[asset]

    def add(self, asset: str, amount: Decimal) -> None:
        self._held[asset] += amount
        self._store.save(BALANCE, BALANCE, self.view)

    def set(self, asset: str, amount: Decimal) -> None:
        self.add(asset, amount - self._held[asset])

    def view(self) -> dict[str, str]:
        return {asset: plain(amount) for asset, amount in self._held.items()}

    def sent_with(self, spend_id: str) -> Transfer | None:
        number = self._spent.get(spend_id)
        return None if number is None else self.transfers[number]

    def send(
        self,
        *,
        spend_id: str,
        user_id: int,
        asset: str,
        amount: Decimal,
        at: float,
        comment: str | None,
    ) -> Transfer:
        transfer = Transfer(
            transfer_id=self._last_id + 1,
            spend_id=spend_id,
            user_id=user_id,
            asset=asset,
            amount=plain(amount),
            completed_at=at,
            comment=comment,
        )
        self._take(transfer)
        self._store.save(TRANSFER, transfer.transfer_id, transfer)
        self.add(asset, -amount)
        return transfer

    def _take(self, transfer: Transfer) -> None:
        self._last_id = max(self._last_id, transfer.transfer_id)
        self.transfers[transfer.transfer_id] = transfer
        self._spent[transfer.spend_id] = transfer.transfer_id

    def clear(self) -> None:
        self.transfers.clear()
        self._spent.clear()
        self.strangers.clear()
        self._held = self._at_first()
