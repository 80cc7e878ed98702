"""Orders by many people while everything is killed in turn, and what must be true afterwards."""
