"""One file per accepted message: load, let the domain decide, record, emit."""
