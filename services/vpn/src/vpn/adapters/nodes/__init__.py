"""One file per way to speak to a node; each implements ports.nodes.NodeDriver."""
