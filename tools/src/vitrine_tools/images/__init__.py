"""How the images are built: Dockerfile at the root is the outside of this."""
