"""The workbench in a browser, on Slicer's libraries and trame-slicer; it stands beside `desktop`, above `workbench`."""
