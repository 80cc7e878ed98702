"""Everything two services must agree on: messages, ids, codes, streams and the catalogue."""
