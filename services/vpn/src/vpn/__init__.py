"""VPN access that follows payment, and the nodes that give it."""
