"""What a lesson is: cases with a known truth, hints, marks to reach, and what the learner sees when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from petctfusion.errors import BadInputError
from petctfusion.phantom.rescan import Conditions
from petctfusion.phantom.settings import FieldOfView, LesionSpec, PhantomSettings, sarcoma_settings
from petctfusion.phantom.sites import SITES
from petctfusion.tables import did_you_mean

AT_ONCE, AFTER_CHECK, AT_END, NEVER = MOMENTS = ("at once", "after check", "at end", "never")
_LESION_LIMITS = {
    "diameter_mm": (4.0, 200.0),
    "suv": (0.1, 100.0),
    "necrosis": (0.0, 0.9),
    "irregularity": (0.0, 1.0),
    "elongation": (0.3, 3.0),
    "texture": (0.0, 1.0),
}
_LIMITS = {
    "margin_mm": (0.0, 200.0),
    "ct_spacing_mm": (0.7, 6.0),
    "pet_spacing_mm": (1.0, 8.0),
    "fine_mm": (0.8, 5.0),
    "ct_noise_hu": (0.0, 200.0),
}


@dataclass(frozen=True)
class ShownWhen:
    """`at once`; `after check`: once the case was checked; `at end`: once the lesson is finished; `never`."""

    reference: str = AFTER_CHECK
    errors: str = AFTER_CHECK
    """Where the drawing and the reference agree and where not."""
    network: str = AFTER_CHECK
    """What a network draws."""
    attention: str = AFTER_CHECK
    """What the network looked at."""
    sliders: str = AFTER_CHECK
    """Resolution, noise and breathing of a phantom."""

    def __post_init__(self) -> None:
        for one in fields(self):
            moment = getattr(self, one.name)
            if moment not in MOMENTS:
                raise BadInputError(f"{moment!r} is no moment to show the {one.name}.", did_you_mean(moment, MOMENTS))


@dataclass(frozen=True)
class PassingMarks:
    """What a drawing has to reach: at least `dice`, at most the others. None is not asked for."""

    dice: float | None = None
    hd95_mm: float | None = None
    missed_ml: float | None = None
    extra_ml: float | None = None

    def __post_init__(self) -> None:
        if self.dice is not None and not 0 <= self.dice <= 1:
            raise BadInputError(f"A Dice of {self.dice:g} cannot be asked for.", "Give 0 to 1.")
        for name in ("hd95_mm", "missed_ml", "extra_ml"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BadInputError(f"A mark of {value:g} for {name} cannot be asked for.", "Give 0 or more.")


@dataclass(frozen=True)
class Hint:
    """One sentence that helps, given when the learner asks and has checked `after_checks` times."""

    text: str
    after_checks: int = 0

    def __post_init__(self) -> None:
        if not self.text.strip() or self.after_checks < 0:
            raise BadInputError("A hint needs a text and 0 or more checks before it.", "Correct the hint.")


@dataclass(frozen=True)
class PhantomCase:
    """A simulated patient; equal values give equal voxels. Spacings are (x, y, z) in mm.

    Without `lesions` it has a sarcoma in one thigh, drawn from the seed; an empty list is a patient without any. The
    reference of one who breathes is everywhere the lesions go.
    """

    seed: int = 0
    view: str = "lesion"
    lesions: tuple[LesionSpec, ...] | None = None
    margin_mm: float = 45.0
    ct_spacing_mm: tuple[float, float, float] = (1.6, 1.6, 2.5)
    pet_spacing_mm: tuple[float, float, float] = (4.07, 4.07, 3.0)
    fine_mm: float = 2.0
    ct_noise_hu: float = 12.0
    fwhm_mm: float = 6.0
    counts: float = 1.0
    breathing_mm: float = 0.0

    def __post_init__(self) -> None:
        for one in self.lesions or ():
            if one.site not in SITES:
                raise BadInputError(f"The phantom has no place called {one.site!r}.", did_you_mean(one.site, SITES))
            _check_within(one, _LESION_LIMITS, "A lesion")
        _check_within(self, _LIMITS, "A phantom")
        # Values that no scan or phantom takes are refused here, when the lesson is read.
        _ = self.settings, self.conditions

    @property
    def settings(self) -> PhantomSettings:
        """The phantom's own settings."""
        return PhantomSettings(
            seed=self.seed,
            field_of_view=cast(FieldOfView, self.view),
            margin_mm=self.margin_mm,
            ct_spacing_mm=self.ct_spacing_mm,
            pet_spacing_mm=self.pet_spacing_mm,
            fine_mm=self.fine_mm,
            ct_noise_hu=self.ct_noise_hu,
            psf_fwhm_mm=self.fwhm_mm,
            lesions=sarcoma_settings(max(self.seed, 0)).lesions if self.lesions is None else self.lesions,
        )

    @property
    def conditions(self) -> Conditions:
        """How the patient is scanned for the learner."""
        return Conditions(self.fwhm_mm, self.counts, self.breathing_mm)


@dataclass(frozen=True)
class CaseFiles:
    """A patient in files: CT, PET and the reference contour; a DICOM folder also does."""

    ct: Path
    pet: Path
    reference: Path
    pet_units: str = "auto"


@dataclass(frozen=True)
class Case:
    """One patient of a lesson. `model` names the network that is asked; without one it is the default."""

    title: str
    task: str
    source: PhantomCase | CaseFiles
    hints: tuple[Hint, ...] = ()
    show: ShownWhen = ShownWhen()
    passing: PassingMarks = PassingMarks()
    model: str = ""


@dataclass(frozen=True)
class Lesson:
    """Cases in order; `about` is what the learner reads before the first."""

    title: str
    about: str
    cases: tuple[Case, ...]


def _check_within(part: object, limits: Mapping[str, tuple[float, float]], what: str) -> None:
    for name, (low, high) in limits.items():
        value = getattr(part, name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if not low <= number <= high:
                raise BadInputError(
                    f"{what} with a {name} of {number:g} is not simulated.", f"Give {low:g} to {high:g}."
                )
