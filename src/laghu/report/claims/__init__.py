"""The audit of the claims of the three papers."""
