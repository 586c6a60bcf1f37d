"""The model manager: models come by folder, zip and download, are verified, and go; nothing waits for them."""

import hashlib
import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest

from petctfusion.models import CARD_FILE, list_models
from petctfusion.models.catalogue import read_catalogue

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "models"))

from file_server import serving


@pytest.fixture
def section(application):
    return application.panel.sections["Computer"]


@pytest.fixture
def own(opened, tinyModel, tmp_path):
    """An own folder of models for one test, and the tiny model under another version beside it."""
    folder = tmp_path / "new" / "tiny" / "2.0.0"
    shutil.copytree(tinyModel, folder)
    card = folder / CARD_FILE
    card.write_text(card.read_text().replace('"1.0.0"', '"2.0.0"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PETCTFUSION_MODELS", str(tmp_path / "own"))
        yield folder
    opened.panel.enter()


def rows(application):
    table = application.ui.computerModelsTable
    return {table.item(row, 0).text() + "@" + table.item(row, 1).text(): row for row in range(table.rowCount)}


def finished(application, section):
    application.wait(lambda: not section.models.busy, "the work on the model ends", 60)
    return str(application.ui.computerModelLabel.text)


def test_a_zip_is_added_verified_and_removed_and_the_choice_above_follows(application, section, own, tmp_path):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in own.iterdir():
            made.write(path, f"some/where/{path.name}")
    section.models.addFrom(str(archive))
    assert finished(application, section) == "tiny@2.0.0 is installed."
    row = rows(application)["tiny@2.0.0"]
    table = application.ui.computerModelsTable
    assert table.item(row, 2).text() == "yours"
    models = application.ui.modelSelector
    assert any("tiny@2.0.0" in models.itemText(index) for index in range(models.count))
    table.selectRow(row)
    application.click(application.ui.computerModelVerifyButton)
    assert "are those that its card names" in finished(application, section)
    assert table.item(row, 4).text() == "as the card says"
    application.click(application.ui.computerModelRemoveButton)
    assert application.ui.computerModelLabel.text == "tiny@2.0.0 is removed."
    assert "tiny@2.0.0" not in rows(application)
    assert not any("tiny@2.0.0" in models.itemText(index) for index in range(models.count))


def test_damaged_weights_are_found_and_a_shipped_model_cannot_be_removed(application, section, own):
    section.models.addFrom(str(own))
    assert "is installed" in finished(application, section)
    model = next(model for model in list_models() if model.name == "tiny")
    weights = model.folder / model.card.weights.file
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    table = application.ui.computerModelsTable
    table.selectRow(rows(application)["tiny@2.0.0"])
    application.click(application.ui.computerModelVerifyButton)
    assert "the checksum is wrong" in finished(application, section)
    assert table.item(rows(application)["tiny@2.0.0"], 4).text() == "damaged"
    weights.write_bytes(content[:-10])
    section.models.fill()
    row = rows(application)["tiny@2.0.0"]
    table.selectRow(row)
    assert table.item(row, 4).text() == "damaged"
    assert not application.ui.computerModelVerifyButton.enabled
    application.click(application.ui.computerModelRemoveButton)
    assert "tiny@2.0.0" not in rows(application)
    shipped = next(row for row in rows(application).values() if table.item(row, 2).text() == "shipped")
    table.selectRow(shipped)
    assert not application.ui.computerModelRemoveButton.enabled


def test_what_is_no_zip_is_one_sentence(application, section, own, tmp_path):
    junk = tmp_path / "junk.zip"
    junk.write_bytes(b"no zip at all")
    section.models.addFrom(str(junk))
    assert "no whole zip" in finished(application, section)


@pytest.fixture
def shop(application, section, own, tmp_path, monkeypatch):
    """A server with the tiny model as the catalogue's only entry, in a catalogue that the process reads too."""
    archive = tmp_path / "weights.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in own.iterdir():
            made.write(path, path.name)
        made.writestr("notes.bin", os.urandom(2_000_000))
    content = archive.read_bytes()
    with serving(content) as server:
        entry = {
            "name": "tiny", "title": "A tiny one", "page": "http://127.0.0.1", "licence": "CC BY 4.0",
            "verified": True, "evidence": "this test", "channels": ["CT", "PET"], "data": "nothing",
            "citation": "nobody", "runs": "yes", "url": server.url, "bytes": len(content),
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        }  # fmt: skip
        catalogue = tmp_path / "catalogue.json"
        catalogue.write_text(json.dumps({"entries": [entry]}))
        start = section.models._task.start

        def withCatalogue(arguments, python, listener):
            start([*arguments, "--catalogue", str(catalogue)], python, listener)

        monkeypatch.setattr(section.models._task, "start", withCatalogue)
        before = section.models._entries
        monkeypatch.setattr(section.models, "_entries", read_catalogue(catalogue))
        section.models._showEntry()
        yield server
        section.models._entries = before


def test_a_public_model_is_downloaded_with_progress_while_the_event_loop_goes_on(application, section, shop):
    section.models.download()
    assert not section.models.busy, "downloaded without an accepted licence"
    application.ui.computerLicenceCheckBox.checked = True
    application.click(application.ui.computerDownloadButton)
    assert application.ui.computerModelCancelButton.enabled
    turns = 0
    while section.models.busy:
        application.pause(0.0)
        turns += 1
    assert turns > 20
    assert application.ui.computerModelLabel.text == "tiny@2.0.0 is installed."
    assert "tiny@2.0.0" in rows(application)
    assert not application.ui.computerLicenceCheckBox.checked


def test_a_download_is_cancelled_and_goes_on_where_it_stopped(application, section, shop):
    shop.plan.append("stall")
    application.ui.computerLicenceCheckBox.checked = True
    application.click(application.ui.computerDownloadButton)
    application.wait(lambda: shop.halted.is_set(), "half of it came", 30)
    application.wait(lambda: application.ui.computerModelProgress.value > 100, "progress is shown", 10)
    assert "of 2." in application.ui.computerModelLabel.text
    started = time.monotonic()
    application.click(application.ui.computerModelCancelButton)
    assert finished(application, section) == "Stopped."
    assert time.monotonic() - started < 2
    shop.go_on.set()
    application.ui.computerLicenceCheckBox.checked = True
    application.click(application.ui.computerDownloadButton)
    assert finished(application, section) == "tiny@2.0.0 is installed."
    assert shop.asked[0] is None
    assert shop.asked[1].startswith("bytes=")
