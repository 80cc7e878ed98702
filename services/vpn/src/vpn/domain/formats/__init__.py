"""What a link says to each app: one module per format, and which app gets which."""
