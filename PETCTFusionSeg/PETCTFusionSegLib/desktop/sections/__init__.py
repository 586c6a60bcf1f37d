"""The panel's sections, one a file, from the study at the top to the computer at the bottom."""
