"""`python -m scheduler` runs the service; `migrate`, `list`, `show`, `fire`... are commands."""

from scheduler.cli import main

main()
