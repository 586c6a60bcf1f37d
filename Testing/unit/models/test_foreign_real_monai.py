"""A bundle that MONAI's own tools have made runs in our worker as with MONAI's transforms and SlidingWindowInferer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from petctfusion.cli import main
from petctfusion.metrics import compare
from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings, make_phantom
from petctfusion.volumes import Geometry
from petctfusion.volumes.grid import resample_image

pytest.importorskip("monai", reason="MONAI is not installed")
pytestmark = pytest.mark.slow

KEYS = ["ct", "pet"]
SPACING_MM = 4.0
WINDOW = [32, 32, 32]
METADATA = {
    "version": "0.1.0",
    "name": "Thigh PET/CT",
    "license": "CC BY 4.0",
    "network_data_format": {
        "inputs": {
            "image": {
                "type": "image",
                "num_channels": 2,
                "spatial_shape": WINDOW,
                "dtype": "float32",
                "channel_def": {"0": "CT", "1": "PET"},
            }
        },
        "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "tumour"}}},
    },
}
NETWORK = {
    "_target_": "SegResNet",
    "spatial_dims": 3,
    "in_channels": 2,
    "out_channels": 2,
    "init_filters": 8,
    "blocks_down": [1, 1, 1],
    "blocks_up": [1, 1],
}


def scaled(key: str, low: float, high: float) -> dict:
    return {
        "_target_": "ScaleIntensityRanged",
        "keys": key,
        "a_min": low,
        "a_max": high,
        "b_min": 0.0,
        "b_max": 1.0,
        "clip": True,
    }


INFERENCE = {
    "bundle_root": ".",
    "device": "$torch.device('cpu')",
    "network_def": NETWORK,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": KEYS},
            {"_target_": "EnsureChannelFirstd", "keys": KEYS},
            {"_target_": "Orientationd", "keys": KEYS, "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": KEYS, "pixdim": [SPACING_MM] * 3, "mode": "bilinear"},
            scaled("ct", -200.0, 300.0),
            scaled("pet", 0.0, 15.0),
            {"_target_": "ConcatItemsd", "keys": KEYS, "name": "image"},
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": WINDOW,
        "sw_batch_size": 1,
        "overlap": 0.5,
        "mode": "gaussian",
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
    },
}


def phantom(seed: int) -> Phantom:
    return make_phantom(
        PhantomSettings(
            seed=seed,
            field_of_view="lesion",
            margin_mm=50.0,
            ct_spacing_mm=(SPACING_MM,) * 3,
            pet_spacing_mm=(SPACING_MM,) * 3,
            fine_mm=3.0,
            lesions=(LesionSpec("thigh-left", 44.0, 9.0),),
        )
    )


def written(made: Phantom, folder: Path) -> dict[str, str]:
    """CT and PET on one grid, as a bundle needs them."""
    images = {"ct": made.ct, "pet": resample_image(made.pet, Geometry.of(made.ct), 0.0)}
    paths = {name: str(folder / f"{name}.nii.gz") for name in images}
    for name, image in images.items():
        sitk.WriteImage(image, paths[name])
    return paths


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """`monai.bundle init_bundle` with a network that has learnt a phantom for a minute, then `ckpt_export`."""
    from monai.bundle import ConfigParser, ckpt_export, init_bundle
    from monai.losses import DiceCELoss

    folder = tmp_path_factory.mktemp("monai")
    made = phantom(1)
    parser = ConfigParser(INFERENCE)
    ready = parser.get_parsed_content("preprocessing")(written(made, folder))
    torch.manual_seed(0)
    network = parser.get_parsed_content("network").train()
    truth = torch.from_numpy(sitk.GetArrayFromImage(made.reference).transpose(2, 1, 0).copy())
    truth = truth.flip(0, 1)[None, None].float()  # the phantom lies in LPS, the bundle in RAS
    image = ready["image"].as_tensor()[None]
    sizes = [n // 8 * 8 for n in image.shape[2:]]
    image, truth = (volume[..., : sizes[0], : sizes[1], : sizes[2]] for volume in (image, truth))
    loss, optimiser = DiceCELoss(to_onehot_y=True, softmax=True), torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(25):
        optimiser.zero_grad()
        loss(network(image), truth).backward()
        optimiser.step()
    root = folder / "bundle"
    init_bundle(root, network=network.eval(), metadata_str=METADATA, inference_str=INFERENCE)
    ckpt_export(
        "network_def",
        filepath=str(root / "models" / "model.ts"),
        ckpt_file=str(root / "models" / "model.pt"),
        meta_file=str(root / "configs" / "metadata.json"),
        config_file=str(root / "configs" / "inference.json"),
    )
    return root


def by_monai(bundle: Path, paths: dict[str, str]) -> np.ndarray:
    """Probability of the tumour (z, y, x) in LPS by the bundle's own description, read by MONAI."""
    from monai.bundle import ConfigParser
    from monai.data import MetaTensor
    from monai.transforms import Orientation

    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    ready = parser.get_parsed_content("preprocessing")(paths)
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        scores = parser.get_parsed_content("inferer")(ready["image"].as_tensor()[None], network)
    pred = parser.get_parsed_content("postprocessing")({"pred": scores[0]})["pred"]
    lps = Orientation(axcodes="LPS")(MetaTensor(pred[1:], affine=ready["image"].affine))
    return lps.numpy()[0].transpose(2, 1, 0)


@pytest.mark.parametrize("kind", ["weights", "program"])
def test_the_worker_answers_as_monai_does(bundle, tmp_path, kind):
    source = tmp_path / "bundle"
    source.symlink_to(bundle)
    if kind == "program":
        source = tmp_path / "program"
        for part in ("configs/metadata.json", "configs/inference.json", "models/model.ts"):
            (source / part).parent.mkdir(parents=True, exist_ok=True)
            (source / part).write_bytes((bundle / part).read_bytes())
    name = f"real-monai-{kind}"
    assert main(["models", "add", str(source), "--name", name]) == 0
    made = phantom(2)
    paths = written(made, tmp_path)
    expected = by_monai(bundle, paths)
    words = ["segment", "--ct", paths["ct"], "--pet", paths["pet"], "--pet-units", "suvbw", "--model", name]
    assert main([*words, "--output", str(tmp_path / "out"), "--device", "cpu", "--probability"]) == 0
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "probability.nii.gz")))
    mask = sitk.ReadImage(str(tmp_path / "out" / "segmentation.nii.gz"))
    theirs = Geometry.of(made.ct).image((expected > 0.5).astype(np.uint8))
    comparison = compare(mask, theirs)
    print(
        f"{kind}: windows {WINDOW} over {made.ct.GetSize()}, Dice {comparison.dice:.4f}, probability differs by "
        f"{np.abs(found - expected).mean():.5f} in the mean, {np.abs(found - expected).max():.3f} at most; "
        f"against the truth {compare(mask, made.reference).dice:.3f}"
    )
    assert max(made.ct.GetSize()) > WINDOW[0]  # more than one window
    assert comparison.reference_volume_ml > 5.0
    # Windows lie a little differently, and probabilities are averaged here, scores there.
    assert comparison.dice > 0.98
    assert np.abs(found - expected).mean() < 0.01


def test_what_was_made_is_a_bundle_as_monai_lays_it_out(bundle):
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {"configs/metadata.json", "configs/inference.json", "models/model.pt", "models/model.ts"} <= files
    assert json.loads((bundle / "configs" / "metadata.json").read_text())["name"] == METADATA["name"]
