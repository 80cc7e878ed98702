"""Every message the bot shows, drawn from values: one module per feature."""
