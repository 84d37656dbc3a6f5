"""What is edited: layers, real and drawn, and the edits that are asked of them."""
