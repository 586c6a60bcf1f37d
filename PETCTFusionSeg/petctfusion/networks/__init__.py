"""Fusion networks: one file per published system, shared blocks, and the registry that builds them by name."""

from petctfusion.networks.registry import NetworkEntry, build, network_entries

__all__ = ["NetworkEntry", "build", "network_entries"]
