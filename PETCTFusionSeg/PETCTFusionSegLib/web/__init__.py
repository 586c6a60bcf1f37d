"""The room of the browser workbench; it stands beside `desktop` and above `mrml`."""
