"""Fusion networks: one file per published system, shared blocks, and the registry that builds them by name."""

from petctfusion.networks.entries import NetworkEntry
from petctfusion.networks.registry import build, network_entries, network_entry, require_modalities

__all__ = ["NetworkEntry", "build", "network_entries", "network_entry", "require_modalities"]
