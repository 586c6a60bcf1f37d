"""What a phantom can be told: seed, grids, field of view, noise, lesions, anatomy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom.tissues import TISSUES, Label

FieldOfView = Literal["whole-body", "thigh", "lesion"]
FIELDS_OF_VIEW: tuple[FieldOfView, ...] = ("whole-body", "thigh", "lesion")


@dataclass(frozen=True)
class LesionSpec:
    """One lesion to be put into the phantom.

    `diameter_mm` is that of the sphere of equal volume; `suv` the mean of its living part; `necrosis` the share of its
    volume that is dead and cold; `irregularity` how rough the surface is (0: a ball or ellipsoid); `elongation` the
    ratio of its length along the body to its width; `texture` the relative spread of uptake inside; `in_bone` lets it
    eat bone, to which others give way.
    """

    site: str
    diameter_mm: float
    suv: float = 8.0
    necrosis: float = 0.0
    irregularity: float = 0.16
    elongation: float = 1.0
    texture: float = 0.10
    in_bone: bool = False


SARCOMA = LesionSpec("thigh-left", 74.0, 9.0, necrosis=0.28, irregularity=0.20, elongation=1.5, texture=0.30)
WHOLE_BODY_LESIONS = (
    SARCOMA,
    LesionSpec("lung-right", 37.0, 8.0, necrosis=0.12),
    LesionSpec("groin-left", 28.0, 7.0),
    LesionSpec("liver", 22.0, 7.5),
    LesionSpec("mediastinum", 17.0, 6.5),
    LesionSpec("neck-left", 13.0, 6.0),
    LesionSpec("lung-left", 10.0, 5.0),
)


@dataclass(frozen=True)
class PhantomSettings:
    """Everything that decides a phantom; equal settings give equal voxels.

    Spacings are (x, y, z) in mm. `fine_mm` is the cubic grid on which truth is drawn (None: 2.5 for the whole body,
    else 1.2). `ct_noise_hu` and `psf_fwhm_mm` are measured back by `petctfusion.phantom.quality`. `lesions` None means
    the default of the field of view: one thigh sarcoma, and for the whole body six smaller ones of 10 to 37 mm besides.
    `anatomy` is an organ label map (path or image) that replaces the procedural organs; default lesions whose place it
    does not show (no thighs, no neck) are left out.

    `scattered` lesions are drawn from the seed anywhere in the body (`petctfusion.phantom.scatter`) instead of those of
    `lesions`. `uptake` sets the mean SUVbw of tissues that are otherwise drawn from the seed, `fat` is the thickness
    factor of the subcutaneous fat around an organ map, and in the PET the body lies `misregistration_mm` (x, y, z) from
    where the CT has it.
    """

    seed: int = 0
    field_of_view: FieldOfView = "whole-body"
    margin_mm: float = 50.0
    ct_spacing_mm: tuple[float, float, float] = (1.95, 1.95, 3.0)
    pet_spacing_mm: tuple[float, float, float] = (4.07, 4.07, 3.0)
    fine_mm: float | None = None
    psf_fwhm_mm: float = 6.0
    liver_cov: float = 0.11
    ct_noise_hu: float = 12.0
    arms: bool = True
    lesions: tuple[LesionSpec, ...] | None = None
    scattered: int = 0
    uptake: tuple[tuple[Label, float], ...] = ()
    fat: float = 1.0
    misregistration_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    anatomy: Path | sitk.Image | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.field_of_view not in FIELDS_OF_VIEW:
            raise BadInputError(
                f"'{self.field_of_view}' is not a field of view of the phantom.",
                f"Use one of {', '.join(FIELDS_OF_VIEW)}.",
            )
        numbers = (*self.ct_spacing_mm, *self.pet_spacing_mm, self.psf_fwhm_mm, self.fine_mm or 1.0)
        if min(numbers) <= 0:
            raise BadInputError("A spacing or width of the phantom is not positive.", "Give lengths above 0 mm.")
        if min(self.liver_cov, self.ct_noise_hu, self.margin_mm, self.seed, self.scattered) < 0:
            raise BadInputError(
                "A noise level, margin, seed or number of lesions of the phantom is negative.", "Give 0 or more."
            )

    @property
    def fine_spacing_mm(self) -> float:
        """Spacing of the truth grid in mm."""
        if self.fine_mm is not None:
            return self.fine_mm
        return 2.5 if self.field_of_view == "whole-body" else 1.2

    @property
    def chosen_lesions(self) -> tuple[LesionSpec, ...]:
        """The lesions asked for, or the default of the field of view."""
        if self.lesions is not None:
            return self.lesions
        if self.scattered:
            return ()
        return WHOLE_BODY_LESIONS if self.field_of_view == "whole-body" else (SARCOMA,)

    def to_json(self) -> dict[str, Any]:
        """Plain values; an anatomy is named by its file, an image by the word `image`."""
        plain = {
            key: value
            for key, value in asdict_without_image(self).items()
            if key not in ("anatomy", "lesions", "uptake")
        }
        if self.anatomy is not None:
            plain["anatomy"] = self.anatomy.name if isinstance(self.anatomy, Path) else "image"
        plain["uptake"] = {TISSUES[label].name: suv for label, suv in self.uptake}
        plain["fine_mm"] = self.fine_spacing_mm
        plain["lesions_asked"] = None if self.lesions is None else [asdict(one) for one in self.lesions]
        return plain


def asdict_without_image(settings: PhantomSettings) -> dict[str, Any]:
    """Field values by name, not copied (an image cannot be)."""
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def sarcoma_settings(seed: int = 0, field_of_view: FieldOfView = "lesion") -> PhantomSettings:
    """A thigh sarcoma as the shipped network's training patients look.

    Spacings and CT noise (15 to 32 HU in their muscle and tumour) are those of that collection; size, shape, uptake
    and necrosis are drawn from the seed within its range.
    """
    generator = np.random.default_rng([seed, 77])
    lesion = LesionSpec(
        site="thigh-left" if generator.random() < 0.5 else "thigh-right",
        diameter_mm=float(np.round(generator.uniform(58, 84), 1)),
        suv=float(np.round(generator.uniform(5, 11), 1)),
        necrosis=float(np.round(generator.uniform(0.12, 0.34), 2)),
        irregularity=0.2,
        elongation=float(np.round(generator.uniform(1.15, 1.6), 2)),
        texture=0.30,
    )
    return PhantomSettings(
        seed=seed,
        field_of_view=field_of_view,
        ct_spacing_mm=(0.98, 0.98, 3.27),
        pet_spacing_mm=(4.69, 4.69, 3.27),
        ct_noise_hu=20.0,
        lesions=(lesion,),
    )
