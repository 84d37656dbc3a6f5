"""Speed and memory, side by side with naive and released implementations: `python -m benchmarks`."""
