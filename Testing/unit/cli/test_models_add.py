"""`petctfusion models add` with a zip, and the command line on a leash."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from petctfusion.cli import exits, main
from petctfusion.models import ModelStore, list_models


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PETCTFUSION_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def archive(tmp_path) -> Path:
    """A shipped model under another version, somewhere inside a zip."""
    model = next(model for model in ModelStore.default().scan()[0] if model.shipped and not model.card.members)
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as made:
        for file in model.files:
            content = file.read_bytes()
            if file.suffix == ".json":
                content = content.replace(f'"{model.version}"'.encode(), b'"99.0.0"', 1)
            made.writestr(f"a/b/{file.name}", content)
    return path


def test_a_zip_is_added_and_nothing_of_its_unpacking_stays(own, archive, capsys):
    assert main(["models", "add", str(archive), "--json"]) == exits.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == "99.0.0"
    assert any(model.reference == f"{answer['name']}@99.0.0" for model in list_models())
    assert [path.name for path in own.iterdir()] == [answer["name"]]


def test_a_zip_with_two_models_or_none_is_refused(own, archive, tmp_path, capsys):
    empty, double = tmp_path / "empty.zip", tmp_path / "double.zip"
    with zipfile.ZipFile(empty, "w") as made:
        made.writestr("readme.txt", "nothing here")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(double, "w") as made:
        for name in source.namelist():
            made.writestr(name, source.read(name))
            made.writestr(f"again/{name}", source.read(name))
    for path, count in ((empty, "no models"), (double, "2 models")):
        assert main(["models", "add", str(path), "--json"]) == exits.MODEL
        assert count in json.loads(capsys.readouterr().out)["error"]["message"]
    assert [*own.iterdir()] == []


def leashed(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "petctfusion.cli.leashed", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_on_a_leash_it_answers_as_ever(own):
    with leashed("models", "list", "--json") as process:
        assert process.stdout is not None
        # `communicate` would close its stdin first.
        names = [model["name"] for model in json.loads(process.stdout.read())]
    assert process.returncode == exits.OK
    assert names == [model.name for model in list_models()]


def test_on_a_leash_it_ends_with_its_stdin_whatever_it_waits_for(own, tmp_path):
    entry = dict.fromkeys(("title", "page", "licence", "evidence", "data", "citation", "runs"), "a test")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/x.zip"
        entry |= {"name": "x", "verified": True, "channels": ["CT", "PET"], "url": url}  # type: ignore[dict-item]
        (tmp_path / "catalogue.json").write_text(json.dumps({"entries": [entry]}))
        arguments = ["models", "download", "x", "--accept-licence", "--catalogue", str(tmp_path / "catalogue.json")]
        process = leashed(*arguments)
        with deaf.accept()[0]:
            assert process.poll() is None
            process.communicate(timeout=10)
    assert process.returncode == exits.CANCELLED
