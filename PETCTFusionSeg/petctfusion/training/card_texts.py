"""What a model card says about the data: the recipe's own words first, then those of the data set."""

from __future__ import annotations

from petctfusion.training.about import About
from petctfusion.training.datasets.sts import ATTRIBUTION
from petctfusion.training.material import TrainingData

_NOT_A_DEVICE = "Not a medical device: research and teaching only."
LARGEST_ONLY = (
    "Patients with several lesions: every training patient had one, so only the largest region is kept "
    "(smallest_component_share in model.json)."
)


def card_texts(own: About, data: TrainingData, modalities: tuple[str, ...], learnt: int, chosen: int) -> About:
    """`own` with every empty text filled; `learnt` and `chosen`: numbers of patients learnt from and chosen on."""
    given = (_of_sarcomas if data.kind == "sts" else _of_any)(data, modalities, learnt, chosen)
    return About(
        own.data or given.data,
        own.licence or given.licence,
        own.attribution or given.attribution,
        own.not_for or given.not_for,
    )


def _of_sarcomas(data: TrainingData, modalities: tuple[str, ...], learnt: int, chosen: int) -> About:
    del data
    seen = " and ".join("FDG-PET" if kind == "PET" else kind for kind in modalities)
    return About(
        f"{learnt} patients of the Soft-tissue-Sarcoma collection (TCIA), {seen}; {chosen} more for the settings",
        "CC BY 3.0",
        ATTRIBUTION,
        (
            _NOT_A_DEVICE,
            "Trained on FDG-PET/CT crops around soft-tissue sarcomas of the extremities and trunk: nothing is known "
            "about other tumours, whole-body volumes or tracers other than FDG; brain, heart, kidneys and bladder may "
            "be marked.",
        ),
    )


def _of_any(data: TrainingData, modalities: tuple[str, ...], learnt: int, chosen: int) -> About:
    seen = " and ".join(modalities)
    return About(
        f"{learnt} studies of the data set {data.folder.resolve().name} ({data.kind} layout), {seen}; "
        f"{chosen} more for the settings",
        "not stated: that of the training data",
        "not stated: that of the training data",
        (
            _NOT_A_DEVICE,
            "Anything unlike its training data: nothing is known about other tumours, parts of the body, tracers or "
            "scanners than theirs.",
        ),
    )
