"""The program beside the core on every node: it keeps the set and serves it."""
