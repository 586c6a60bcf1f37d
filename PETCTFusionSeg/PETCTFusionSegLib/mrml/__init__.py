"""MRML nodes in, MRML nodes out: in the Slicer application and headless on the slicer-core wheel. No Qt here."""
