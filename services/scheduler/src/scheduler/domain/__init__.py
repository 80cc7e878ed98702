"""When things are due, and what may be set. Pure."""
