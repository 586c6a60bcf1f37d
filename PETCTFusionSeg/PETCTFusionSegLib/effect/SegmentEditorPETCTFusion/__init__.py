"""Slicer names an effect's Python module after its folder, so this one has a name that nobody else uses."""
