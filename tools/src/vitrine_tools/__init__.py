"""The operator command line of the platform."""
