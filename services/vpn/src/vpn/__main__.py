"""`python -m vpn` runs the service, `python -m vpn migrate` its migrations."""

from vpn.main import main

main()
