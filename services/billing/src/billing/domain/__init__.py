"""What billing decides: pure, synchronous, no clock, no framework."""
