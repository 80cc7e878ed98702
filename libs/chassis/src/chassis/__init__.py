"""How a Vitrine service runs: exactly-once consumers, outbox, health, traces. Knows no domain."""
