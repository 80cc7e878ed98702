"""The program: `python -m simulators.crypto_pay`, configured by flags or environment."""

import os

from simulators.crypto_pay.options import read
from simulators.crypto_pay.server import CryptoPaySimulator
from simulators.provider.program import run


def main() -> None:
    port, options = read(None, os.environ)
    run(CryptoPaySimulator(port=port, options=options))


if __name__ == "__main__":
    main()
