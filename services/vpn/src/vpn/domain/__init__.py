"""Who has access until when, and what nodes should hold. Pure."""
