"""A Crypto Pay API server on loopback, with a page to pay on and faults to order."""

from simulators.crypto_pay.server import CryptoPaySimulator

__all__ = ["CryptoPaySimulator"]
