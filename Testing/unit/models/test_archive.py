"""Zip archives from anywhere: unpacked whole, or refused with nothing outside their folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.archive import unpack


def zipped(path: Path, files: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "inside" / "target"
    folder.mkdir(parents=True)
    return folder


def test_every_file_arrives_with_its_content_and_progress_is_told(tmp_path, target):
    told = []
    archive = zipped(tmp_path / "a.zip", {"a/b/one": b"1" * 3000, "two": b"22"})
    unpack(archive, target, lambda *values: told.append(values))
    assert (target / "a" / "b" / "one").read_bytes() == b"1" * 3000
    assert (target / "two").read_bytes() == b"22"
    assert told[-1] == (3002, 3002)


@pytest.mark.parametrize(
    "name",
    ["../out", "a/../../out", "/out", "//host/share/out", "C:/out", "C:out", "..\\out", "a\\..\\..\\out", "a/b:stream"],
)
def test_a_path_that_leads_out_is_refused_and_nothing_is_written(tmp_path, target, name):
    archive = zipped(tmp_path / "a.zip", {"good": b"x"})
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        opened.writestr(info, b"bad")
    with pytest.raises(ModelError, match="outside its folder"):
        unpack(archive, target, lambda *_: None)
    assert list(target.iterdir()) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "inside", "target"]


def test_a_link_is_refused(tmp_path, target):
    archive = zipped(tmp_path / "a.zip", {"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(ModelError, match="link"):
        unpack(archive, target, lambda *_: None)
    assert list(target.iterdir()) == []


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path, target):
    archive = zipped(tmp_path / "a.zip", {"zeros": b"\0" * 60_000_000})
    with pytest.raises(ModelError, match=r"0\.1 GB, far more"):
        unpack(archive, target, lambda *_: None)
    assert list(target.iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path, target):
    archive = zipped(tmp_path / "a.zip", {"one": b"1"})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("one", b"2")
    with pytest.raises((ModelError, OutputError)):
        unpack(archive, target, lambda *_: None)


def test_too_little_room_is_told_before_anything_is_written(tmp_path, target, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"one": b"1" * 100})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match="unpacked"):
        unpack(archive, target, lambda *_: None)
    assert list(target.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_is_one_error_or_unpacks_what_was_packed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("zip")
    target = folder / "target"
    target.mkdir()
    packed = {"a/one": bytes(range(256)) * 8, "two": b"22" * 40}
    content = bytearray(zipped(folder / "a.zip", packed).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "a.zip").write_bytes(content)
    try:
        unpack(folder / "a.zip", target, lambda *_: None)
    except (ModelError, OutputError):
        return
    found = sorted(path.read_bytes() for path in target.rglob("*") if path.is_file())
    assert set(found) <= set(packed.values())
