"""The drawer's sections, one class a file."""
