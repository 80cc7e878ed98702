"""What every simulated payment provider has: faults, webhooks, a control API, a pay page."""
