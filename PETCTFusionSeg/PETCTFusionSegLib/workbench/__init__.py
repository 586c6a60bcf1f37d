"""What the panel in Slicer and the page in a browser share: the bench, runs and results. Knows no Qt and no trame."""
