"""One file per accepted message."""
