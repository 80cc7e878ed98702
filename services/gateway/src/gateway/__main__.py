"""`python -m gateway` runs the service; `python -m gateway migrate` migrates its schema."""

import sys

from gateway.adapters import light_aiogram


def main() -> None:
    light_aiogram.load()
    from gateway.main import main as run
    from gateway.main import migrate

    if sys.argv[1:] == ["migrate"]:
        migrate()
    else:
        run()


if __name__ == "__main__":
    main()
