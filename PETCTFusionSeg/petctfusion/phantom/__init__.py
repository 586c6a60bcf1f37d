"""Simulated PET/CT with known truth: procedural or real anatomy, lesions, scanner physics, and measurements of them."""

from petctfusion.phantom.lesions import Lesion
from petctfusion.phantom.phantom import Phantom, make_phantom, write_phantom
from petctfusion.phantom.settings import LesionSpec, PhantomSettings, sarcoma_settings

__all__ = ["Lesion", "LesionSpec", "Phantom", "PhantomSettings", "make_phantom", "sarcoma_settings", "write_phantom"]
