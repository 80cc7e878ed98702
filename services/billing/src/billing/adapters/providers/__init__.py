"""Payment providers that are called over the network, one file each."""
