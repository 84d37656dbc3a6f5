"""Claims as measurements on the real layers of MiniLM, with the numbers that the ledger expects."""
