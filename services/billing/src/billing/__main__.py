"""`python -m billing` runs the service; `migrate`, `grant`, `set-tier` and `audit` are commands."""

import sys

from billing.settings import MIGRATIONS, SCHEMA, Settings
from chassis.service import migrate_main


def main() -> None:
    if sys.argv[1:] == ["migrate"]:
        # Without every handler and adapter: to import them takes longer than to migrate.
        migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
        return
    from billing.cli import main as run

    run()


if __name__ == "__main__":
    main()
