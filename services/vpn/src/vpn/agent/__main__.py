"""`python -m vpn.agent` is `vpn-agent`."""

from vpn.agent.main import main

if __name__ == "__main__":
    main()
