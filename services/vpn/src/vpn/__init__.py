"""VPN access. It refuses what it cannot do yet, so no held order ever waits for it."""
