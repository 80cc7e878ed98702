"""`python -m gateway` runs the service; `python -m gateway migrate` migrates its schema."""

import sys

from chassis.service import migrate_main
from gateway.adapters import light_aiogram
from gateway.settings import MIGRATIONS, SCHEMA, MigrationSettings


def main() -> None:
    if sys.argv[1:] == ["migrate"]:
        # Without aiogram and every screen: to import them takes longer than to migrate.
        migrate_main(MigrationSettings, schema=SCHEMA, folder=MIGRATIONS)
        return
    light_aiogram.load()
    from gateway.main import main as run

    run()


if __name__ == "__main__":
    main()
