"""`python -m billing` runs the service; `migrate`, `grant`, `set-tier` and `audit` are commands."""

from billing.cli import main

main()
