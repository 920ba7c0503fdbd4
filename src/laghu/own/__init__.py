"""A reader's own classifier and texts: checked, split, compressed, and written as folders to give away."""
