"""Slice and 3-D views in the page: drawn by Slicer's displayable managers on the server, and sent only when changed."""
