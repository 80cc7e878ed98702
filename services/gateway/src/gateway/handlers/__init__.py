"""What the gateway does with other services' messages: one file per accepted message."""
