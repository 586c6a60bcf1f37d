"""Tumour contouring on PET/CT: volumes, fusion networks, metrics and the background worker. Knows no Slicer."""

__version__ = "0.1.0"
