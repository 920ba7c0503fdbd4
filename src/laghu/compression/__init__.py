"""Making a model smaller: what goes (movement) and how it is cut out (surgery)."""
