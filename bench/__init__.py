"""One file per figure; each prints a table and JSON. Run all with `make bench`."""
