"""`python -m vpn` runs the service; `python -m vpn --help` lists what else there is."""

from vpn.cli import main

main()
