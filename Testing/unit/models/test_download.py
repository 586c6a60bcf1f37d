"""A catalogue entry becomes an installed model, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from file_server import serving

from petctfusion.cli import exits, main, models_catalogue
from petctfusion.errors import ModelError, OutputError
from petctfusion.models import add_model, archive, list_models
from petctfusion.models.catalogue import CATALOGUE, CatalogueEntry, find_entry, read_catalogue
from petctfusion.models.download import install, installed, kept_bytes

ENTRY = CatalogueEntry(
    name="toy",
    title="A toy",
    page="https://example.org/toy",
    licence="CC BY 4.0",
    verified=True,
    evidence="made by this test",
    channels=("CT", "PET"),
    data="nothing",
    citation="nobody",
    runs="yes",
)


def packed(folder: Path, **more: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for path in sorted(folder.rglob("*")):
            made.write(path, Path("Dataset1") / path.relative_to(folder.parent))
        for name, content in more.items():
            made.writestr(name, content)
        # Large enough to be broken off between its first and its last byte.
        made.writestr("notes.bin", os.urandom(300_000))
    return stream.getvalue()


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "own"
    monkeypatch.setenv("PETCTFUSION_MODELS", str(folder))
    return folder


@pytest.fixture
def content(tmp_path, model_folder) -> bytes:
    return packed(model_folder(tmp_path / "toy"))


@pytest.fixture
def server(content):
    with serving(content) as made:
        yield made


@pytest.fixture
def entry(server, content) -> CatalogueEntry:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return replace(ENTRY, url=server.url, bytes=len(content), md5=md5)


@pytest.fixture
def catalogue(tmp_path, entry) -> Path:
    path = tmp_path / "catalogue.json"
    facts = {name: value for name, value in vars(entry).items() if value not in ("", None)}
    path.write_text(json.dumps({"entries": [{**facts, "channels": list(entry.channels)}]}))
    return path


def own_models() -> list[str]:
    return [model.reference for model in list_models() if not model.shipped]


def installed_by(entry, add=None):
    stages = []
    model = install(entry, add or (lambda folder, _: add_model(folder)), lambda *values: stages.append(values))
    return model, stages


def test_an_entry_is_downloaded_checked_and_installed(own, entry, content, server):
    digests = []
    assert installed(entry) is None
    model, stages = installed_by(entry, lambda folder, sha256: (digests.append(sha256), add_model(folder))[1])
    assert model.reference == "toy@1.0"
    assert own_models() == ["toy@1.0"]
    assert [*dict.fromkeys(stage for stage, *_ in stages)] == ["download", "check", "unpack", "convert"]
    assert digests == [hashlib.sha256(content).hexdigest()]
    assert sorted(path.name for path in own.iterdir()) == [".downloads", "toy"]
    assert kept_bytes(entry) == 0
    assert installed(entry).folder == model.folder


def test_what_is_installed_and_damaged_is_not_called_up_to_date(own, entry):
    model, _ = installed_by(entry)
    weights = model.folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match="checksum is wrong"):
        installed(entry)
    weights.unlink()
    with pytest.raises(ModelError, match="missing"):
        installed(entry)


def test_a_wrong_checksum_is_one_sentence_and_the_file_is_gone(own, entry):
    with pytest.raises(ModelError, match=r"not the one of the catalogue.*removed") as caught:
        installed_by(replace(entry, md5="0" * 32))
    assert entry.page in caught.value.hint
    assert kept_bytes(entry) == 0
    assert own_models() == []


def test_a_later_download_must_be_the_one_that_came_first(own, entry, server, content):
    entry = replace(entry, md5="", bytes=None)
    model, _ = installed_by(entry)
    main(["models", "remove", model.reference])
    server.content = content[:-1] + b"x"
    with pytest.raises(ModelError, match="differs from the toy that was downloaded here before"):
        installed_by(entry)
    assert kept_bytes(entry) == 0
    server.content = content
    assert installed_by(entry)[0].reference == "toy@1.0"


@pytest.mark.parametrize("rubbish", [b"", b"<html>Log in to the clinic's network</html>", b"PK\x03\x04" + b"\0" * 999])
def test_what_is_no_archive_is_removed(own, entry, server, rubbish):
    server.content = rubbish
    with pytest.raises(ModelError):
        installed_by(replace(entry, md5="", bytes=None))
    assert kept_bytes(entry) == 0
    assert own_models() == []


@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_a_truncated_archive_is_removed_and_nothing_is_listed(own, entry, server, content, keep):
    server.content = content[: int(len(content) * keep)]
    with pytest.raises(ModelError, match=r"no whole zip archive.*removed"):
        installed_by(replace(entry, md5="", bytes=None))
    assert kept_bytes(entry) == 0
    assert [path.name for path in own.iterdir()] == [".downloads"]


def test_a_path_out_of_the_archive_is_refused(own, entry, server, tmp_path, content):
    server.content = packed(tmp_path / "toy", **{"../../evil": b"x"})
    with pytest.raises(ModelError, match="outside its folder"):
        installed_by(replace(entry, md5="", bytes=None))
    assert not list(tmp_path.rglob("evil"))
    assert own_models() == []


@pytest.mark.parametrize("count", [0, 2])
def test_an_archive_without_one_model_is_refused(own, entry, server, tmp_path, model_folder, count):
    folder = tmp_path / "several"
    folder.mkdir()
    for number in range(count):
        model_folder(folder / str(number))
    server.content = packed(folder)
    with pytest.raises(ModelError, match=f"holds {count or 'no'} models instead of one"):
        installed_by(replace(entry, md5="", bytes=None))


def test_a_model_that_cannot_be_added_keeps_its_download(own, entry, server):
    def refuse(folder, sha256):
        raise ModelError("It is of no use.", "Hint.")

    with pytest.raises(ModelError, match=r"It is of no use\.") as caught:
        installed_by(entry, refuse)
    assert str(own / ".downloads" / "toy.part") in caught.value.hint
    assert own_models() == []
    asked = len(server.asked)
    assert installed_by(entry)[0].reference == "toy@1.0"
    assert len(server.asked) == asked


def test_a_disk_that_fills_up_while_unpacking_leaves_the_download_and_nothing_else(own, entry, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_extract", full)
    with pytest.raises(OutputError, match="No space left on device"):
        installed_by(entry)
    assert kept_bytes(entry) == entry.bytes
    assert [path.name for path in own.iterdir()] == [".downloads"]
    monkeypatch.undo()
    monkeypatch.setenv("PETCTFUSION_MODELS", str(own))
    assert installed_by(entry)[0].reference == "toy@1.0"


def test_an_entry_without_a_file_says_where_to_get_it(own):
    with pytest.raises(ModelError, match="No single file") as caught:
        installed_by(ENTRY)
    assert ENTRY.page in caught.value.hint


def test_the_command_installs_it_and_a_second_time_says_so(own, entry, catalogue, capsys, server):
    words = ["models", "download", "toy", "--catalogue", str(catalogue), "--accept-licence"]
    assert main(words) == 0
    first = capsys.readouterr()
    assert "toy@1.0 is installed in" in first.out
    assert "Licence    CC BY 4.0" in first.err
    assert "downloading" in first.err
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["downloaded"] is False
    assert main(words) == 0
    assert "installed already" in capsys.readouterr().out
    assert len(server.asked) == 1


def test_without_a_yes_to_the_licence_nothing_is_asked_of_the_server(own, catalogue, capsys, server, monkeypatch):
    words = ["models", "download", "toy", "--catalogue", str(catalogue)]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(words) == exits.USAGE
    assert "--accept-licence" in capsys.readouterr().err
    for answer, code in (("n\n", exits.CANCELLED), ("", exits.CANCELLED), ("yes\n", 0)):
        stream = io.StringIO(answer)
        stream.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stream)
        assert len(server.asked) == 0
        assert main(words) == code
    assert own_models() == ["toy@1.0"]


def process(catalogue: Path, *more: str) -> subprocess.Popen:
    words = ["models", "download", "toy", "--accept-licence", "--catalogue", str(catalogue), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "petctfusion.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(models_catalogue.__file__).parents[2])},
        # Whoever starts the tests in the background hands on an ignored SIGINT.
        preexec_fn=None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_stopped_download_goes_on_where_it_was(own, entry, catalogue, server, number):
    server.plan = ["stall"]
    running = process(catalogue)
    assert server.halted.wait(60)
    while kept_bytes(entry) < entry.bytes // 4:
        assert running.poll() is None
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    if number == signal.SIGINT:
        assert running.returncode == exits.CANCELLED
        assert "Stopped; 0." in said
        assert "Go on with: petctfusion models download toy" in said
    assert own_models() == []
    kept = kept_bytes(entry)
    assert 0 < kept < entry.bytes
    again = process(catalogue)
    out, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert "Going on after" in said
    assert "toy@1.0 is installed" in out
    assert server.asked == [None, f"bytes={kept}-"]


def test_every_entry_of_the_package_says_what_a_user_must_know():
    entries = read_catalogue()
    assert len(entries) >= 1
    for entry in entries:
        assert entry.licence
        assert sorted(entry.channels) == ["CT", "PET"]
        assert entry.page.startswith("https://")
        assert not entry.url or entry.url.startswith("https://")
        assert "not" in entry.runs.lower()
        assert entry.verified or "not verified" in entry.stated_licence


def test_the_catalogue_is_shown_with_licence_size_checksum_and_doubts(capsys):
    assert main(["models", "catalogue"]) == 0
    shown = capsys.readouterr().out
    for entry in read_catalogue():
        assert f"{entry.name}: " in shown
        assert entry.stated_licence in shown
    assert "NOT VERIFIED" in shown
    assert "none published" in shown
    assert main(["models", "catalogue", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == [e.name for e in read_catalogue()]


def test_an_unknown_entry_is_refused_with_the_known_ones(capsys):
    assert main(["models", "download", "lesiontrace"]) == exits.MODEL
    assert "lesiontracer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"url": "file:///etc/passwd"}, "url"),
        ({"md5": "abc"}, "md5"),
        ({"name": "../up"}, "name"),
        ({"bytes": 0}, "bytes"),
        ({"verified": "yes"}, "verified"),
        ({"licence": ""}, "licence"),
        ({"sha256": "0" * 64}, "sha256"),
    ],
)
def test_a_catalogue_with_a_mistake_names_it(tmp_path, change, word):
    values = json.loads(CATALOGUE.read_text())
    values["entries"][0].update(change)
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match=rf"entries\[0\].{word}"):
        find_entry("lesiontracer", path)


def test_verify_checks_every_model_and_names_each_damaged_one(own, tmp_path, model_folder, capsys):
    for name in ("a", "b", "c"):
        add_model(model_folder(tmp_path / name, name=name))
    for name in ("a", "c"):
        weights = own / name / "1.0" / "weights.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert main(["models", "verify"]) == exits.MODEL
    said = capsys.readouterr()
    assert "b@1.0" in said.out
    assert "a@1.0  sha256" not in said.out
    assert str(own / "c" / "1.0") in said.out
    assert str(own / "a" / "1.0") in said.err
