"""`python -m scheduler` runs the service, `python -m scheduler migrate` its migrations."""

from scheduler.main import main

main()
