"""What measurements on layers and edits are made of."""
