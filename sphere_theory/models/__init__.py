"""Where weights, keys and values come from."""
