"""What can be built: one entry a network, its code imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from petctfusion.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["system", "relative", "baseline", "foreign"]

_PACKAGE = "petctfusion.networks"
_PET_CT = ("CT", "PET")
_BOTH = (2, 3)


@dataclass(frozen=True)
class NetworkEntry:
    """One selectable network.

    `system`: what it is, in words. `kind`: "system" (one of the five published fusion systems), "relative" (a network
    named beside them), "baseline" (what users would pick instead) or "foreign" (built only for a model that was made
    elsewhere). `paper`: the citation. `modalities`: the default channels, in order. `spatial_dims`: those it supports.
    `source`: "module:name" of the class or function, below `petctfusion.networks`. `needs`: packages beyond the
    library's own.
    """

    id: str
    system: str
    kind: Kind
    paper: str
    source: str
    modalities: tuple[str, ...] = _PET_CT
    spatial_dims: tuple[int, ...] = _BOTH
    needs: tuple[str, ...] = ()

    def builder(self) -> Callable[..., nn.Module]:
        """The class or function that builds it. Raises `ModelError` when a package that it needs is missing."""
        module, name = self.source.split(":")
        try:
            # By name: a list of fourteen networks must not import fourteen networks. MONAI thus stays out of the worker
            # unless a model card names one of the baselines built from it.
            found: Callable[..., nn.Module] = getattr(import_module(f"{_PACKAGE}.{module}"), name)
            for package in self.needs:
                import_module(package)
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing not in self.needs:
                raise
            raise ModelError(
                f"The network {self.id} needs the package {missing}, which is not installed.",
                "Install the optional networks: pip install 'petctfusion[networks]'.",
            ) from error
        return found


ENTRIES = (
    NetworkEntry(
        "anatomy_guided",
        "Anatomy-guided modality fusion with zero layers",
        "system",
        "Ahmad et al.: Anatomy guided modality fusion for cancer segmentation in PET CT volumes and images. "
        "Scientific Reports 15:12153, 2025",
        "anatomy_guided:AnatomyGuidedFusion",
    ),
    NetworkEntry(
        "h2aseg",
        "H2ASeg: hierarchical adaptive interaction and weighting",
        "system",
        "Lu et al.: H2ASeg. MICCAI 2024, arXiv 2403.18339",
        "h2aseg:H2ASeg",
    ),
    NetworkEntry(
        "anatomy_prompted",
        "Anatomy-guided prompting with cross-modal self-alignment",
        "system",
        "Huang et al.: Medical Image Analysis 110:103956, 2026",
        "anatomy_prompted:AnatomyPrompted",
    ),
    NetworkEntry(
        "slice_interaction",
        "Multimodal slice interaction network for the IGTV (2.5-D)",
        "system",
        "Luo et al.: arXiv 2509.22841, 2025",
        "slice_interaction:SliceInteraction",
        spatial_dims=(3,),
    ),
    NetworkEntry(
        "dual_attention",
        "Dual-branch attention network with a classifier",
        "system",
        "Suraj and Malik: Journal of Neonatal Surgery 14(31S):944-950, 2025, doi 10.63682/jns.v14i31S.8335",
        "dual_attention:DualAttention",
        modalities=("CT", "MR"),
    ),
    NetworkEntry(
        "msam",
        "MSAM: multimodal spatial attention, PET guides CT",
        "relative",
        "Fu et al.: IEEE Journal of Biomedical and Health Informatics 25:3507-3516, 2021, arXiv 2007.14728",
        "msam:MSAM",
    ),
    NetworkEntry(
        "isanet",
        "ISA-Net: improved spatial attention",
        "relative",
        "Huang et al.: Computer Methods and Programs in Biomedicine 226:107129, 2022, arXiv 2211.02256",
        "isanet:ISANet",
    ),
    NetworkEntry(
        "cipa",
        "CIPA: cross-modal interactive perception with Mamba",
        "relative",
        "Mei et al.: CVPR 2025, arXiv 2503.17261",
        "cipa:CIPA",
    ),
    NetworkEntry(
        "vmambax",
        "vMambaX: context-gated cross-modal perception",
        "relative",
        "arXiv 2510.27508, 2025",
        "vmambax:VMambaX",
    ),
    NetworkEntry(
        "early_unet",
        "Residual U-Net on concatenated modalities (early fusion)",
        "baseline",
        "Kerfoot et al.: STACOM 2018 (MONAI UNet)",
        "baselines:early_unet",
        needs=("monai",),
    ),
    NetworkEntry(
        "late_unet",
        "One residual U-Net per modality, logits joined (late fusion)",
        "baseline",
        "Kerfoot et al.: STACOM 2018 (MONAI UNet)",
        "baselines:late_unet",
        needs=("monai",),
    ),
    NetworkEntry(
        "resenc_unet",
        "Residual encoder U-Net of nnU-Net",
        "baseline",
        "Isensee et al.: nnU-Net Revisited. MICCAI 2024, arXiv 2404.09556",
        "baselines:resenc_unet",
        needs=("dynamic_network_architectures",),
    ),
    NetworkEntry(
        "segresnet",
        "SegResNet",
        "baseline",
        "Myronenko: arXiv 1810.11654, 2018 (MONAI SegResNet)",
        "baselines:segresnet",
        needs=("monai",),
    ),
    NetworkEntry(
        "swin_unetr",
        "Swin UNETR",
        "baseline",
        "Hatamizadeh et al.: arXiv 2201.01266, 2022 (MONAI SwinUNETR)",
        "baselines:swin_unetr",
        needs=("monai", "einops"),
    ),
)

# Found by `build`, but not in the list to choose from: their arguments come out of somebody else's files.
FOREIGN = (
    NetworkEntry(
        "nnunet",
        "A network out of nnU-Net v2's plans",
        "foreign",
        "Isensee et al.: nnU-Net. Nature Methods 18:203-211, 2021",
        "nnunet:nnunet",
        needs=("dynamic_network_architectures",),
    ),
    NetworkEntry(
        "monai_bundle",
        "A network out of a MONAI bundle",
        "foreign",
        "Cardoso et al.: MONAI. arXiv 2211.02701, 2022",
        "monai_bundle:monai_bundle",
        spatial_dims=(3,),
        needs=("monai",),
    ),
)
