"""The outside systems billing speaks to, one file each."""
