"""The desktop side: the panel, its parameters, the worker behind a QProcess, the installer."""
