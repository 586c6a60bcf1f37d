"""Weights as others publish them: with heads that only training used, zipped, and with a licence of their own."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from file_server import serving

from petctfusion.cli import main
from petctfusion.inference.foreign import add_foreign
from petctfusion.models.foreign import ForeignChoices, Provenance


def test_organ_heads_that_only_training_uses_are_left_out(nnunet_folder, own_models):
    """As LesionTracer (autoPET III) saves them: one head of 11 organs beside the lesion head of every stage."""
    folder = nnunet_folder("ResidualEncoderUNet", strides=[[1] * 3, [2] * 3, [2] * 3])
    plain = add_foreign(folder)
    path = folder / "fold_0" / "checkpoint_final.pth"
    whole = torch.load(path, weights_only=False)
    heads = {name: w for name, w in whole["network_weights"].items() if name.startswith("decoder.seg_layers.")}
    assert heads
    for name, w in heads.items():
        organs = torch.ones((11, *w.shape[1:]))
        whole["network_weights"][name.replace("seg_layers", "organ_seg_layers")] = organs
    torch.save(whole, path)
    with_heads = add_foreign(folder, ForeignChoices(name="with-heads"))
    assert with_heads.card.weights.sha256 == plain.card.weights.sha256


def test_what_its_publishers_say_stands_in_the_card(nnunet_folder, own_models):
    provenance = Provenance("CC BY 4.0 (as reported)", "autoPET III", "Somebody 2024; archive sha256 abc")
    card = add_foreign(nnunet_folder(), ForeignChoices("published", provenance=provenance)).card
    assert (card.licence, card.training.data) == ("CC BY 4.0 (as reported)", "autoPET III")
    assert card.training.attribution == "Somebody 2024; archive sha256 abc"


def test_a_published_folder_is_downloaded_by_one_command(nnunet_folder, own_models, tmp_path, capsys):
    """Packed as nnUNetv2_export_model_to_zip does; both channels named CT, as autoPET's are."""
    folder = nnunet_folder(folds=(0, 1), dataset={"channel_names": {"0": "CT", "1": "CT"}})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    facts = {"name": "toy", "title": "Toy", "page": "https://example.org", "licence": "CC BY 4.0", "verified": False}
    facts |= {"evidence": "none", "data": "noise", "citation": "nobody", "runs": "yes", "channels": ["CT", "PET"]}
    catalogue = tmp_path / "catalogue.json"
    with serving(stream.getvalue()) as server:
        catalogue.write_text(json.dumps({"entries": [{**facts, "url": server.url}]}))
        words = ["models", "download", "toy", "--accept-licence", "--folds", "1", "--catalogue", str(catalogue)]
        assert main(words) == 0
    assert main(["models", "info", "toy"]) == 0
    shown = capsys.readouterr().out
    assert "CC BY 4.0 (as reported, not verified)" in shown
    assert "CT + PET" in shown
    assert hashlib.sha256(stream.getvalue()).hexdigest() in shown
    assert "(fold_1)" in shown
    assert main(["models", "verify", "toy"]) == 0
