"""`python -m gateway` runs the service; `python -m gateway migrate` migrates its schema."""

import gc
import sys

from chassis.service import migrate_main
from gateway.adapters import light_aiogram
from gateway.settings import MIGRATIONS, SCHEMA, MigrationSettings


def main() -> None:
    if sys.argv[1:] == ["migrate"]:
        # Without aiogram and every screen: to import them takes longer than to migrate.
        migrate_main(MigrationSettings, schema=SCHEMA, folder=MIGRATIONS)
        return
    # What is imported stays: to look through it again and again takes a fifth of the whole start.
    gc.disable()
    light_aiogram.load()
    from gateway.main import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
