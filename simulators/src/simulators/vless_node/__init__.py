"""A VPN node: the real core under the real agent, real clients, and a core of gRPC alone."""
