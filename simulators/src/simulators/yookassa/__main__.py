"""The program: `python -m simulators.yookassa`, configured by flags or environment."""

import os

from simulators.provider.program import run
from simulators.yookassa.options import read
from simulators.yookassa.server import YooKassaSimulator


def main() -> None:
    port, options = read(None, os.environ)
    run(YooKassaSimulator(port=port, options=options))


if __name__ == "__main__":
    main()
