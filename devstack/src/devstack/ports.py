"""Ports for servers that must keep theirs across a restart: those of the simulators."""

from simulators.ports import LOOPBACK, free_port, free_row, is_free

__all__ = ["LOOPBACK", "free_port", "free_row", "is_free"]
