"""Postgres, and the drivers of nodes."""
