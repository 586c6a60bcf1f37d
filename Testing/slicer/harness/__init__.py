"""A desktop of stand-ins: Slicer's Qt side (`qt`, `ctk`, `slicer.qMRML*`) on PySide6 over slicer-core's scene."""
