"""Ports for servers that must keep theirs across a restart: those of the simulators."""

from simulators.ports import LOOPBACK, free_port, is_free, own_range

__all__ = ["LOOPBACK", "free_port", "is_free", "own_range"]
