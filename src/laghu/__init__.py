"""Laghu (लघु, "small, light"): compressing text encoders for under-resourced languages, Marathi first."""

__version__ = "0.1.0"
