"""What runs beside the consumers: each node's keeper, and the sweeps."""
