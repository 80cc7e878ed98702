"""A YooKassa API server on loopback, with a page to pay on and faults to order."""

from simulators.yookassa.server import YooKassaSimulator

__all__ = ["YooKassaSimulator"]
