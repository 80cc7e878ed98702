"""The core's own gRPC interface, spoken with a proto of our own that has only what we need."""
