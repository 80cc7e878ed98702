"""Every timer of the shop: renewals, expiry, reminders, ticks. What it fires is a hint."""
