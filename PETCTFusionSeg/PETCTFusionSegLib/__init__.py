"""Everything that touches Slicer: `mrml` (nodes), `desktop` (Qt), `web` (browser), `selftest` (stories)."""
