"""Files and folders that are there whole or not at all: the order in which things reach the disk, full disks."""

import errno
import os
import threading

import pytest

from laghu import durable


def test_a_file_is_on_the_disk_before_its_name_and_the_name_after(tmp_path, order):
    with durable.replacing(tmp_path / "file") as part:
        part.write_text("content")
    assert order == ["sync .file.part", "rename file", f"sync {tmp_path.name}"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_outdated_goes_once_the_new_content_is_safe(tmp_path, monkeypatch):
    (tmp_path / "page").write_text("of the earlier")
    with pytest.raises(RuntimeError), durable.replacing(tmp_path / "file", tmp_path / "page") as part:
        part.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    with durable.replacing(tmp_path / "file", tmp_path / "page") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [FileNotFoundError("of the writer's own"), KeyboardInterrupt()])
def test_an_error_of_the_writer_comes_out_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, durable.replacing(tmp_path / "file"):
        raise error
    assert caught.value is error and not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_written_over(tmp_path):
    (tmp_path / ".file.part").write_text("a long half of something")
    with durable.replacing(tmp_path / "file") as part:
        part.open("r+").write("short")
    assert (tmp_path / "file").read_text() == "short"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_writers_of_one_file_wait_for_each_other(tmp_path):
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with durable.replacing(tmp_path / "file") as part:
            part.write_text("of the first")
            inside.set()
            go.wait()

    def second() -> None:
        with durable.replacing(tmp_path / "file") as part:
            earlier.append((tmp_path / "file").read_text())
            part.write_text("of the second")

    earlier: list[str] = []
    writers = [threading.Thread(target=first), threading.Thread(target=second)]
    writers[0].start()
    inside.wait()
    writers[1].start()
    assert not earlier
    go.set()
    for writer in writers:
        writer.join()
    assert earlier == ["of the first"]
    assert (tmp_path / "file").read_text() == "of the second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_takes_the_place_of_another_only_when_it_is_made(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(RuntimeError), durable.replacing_folder(folder) as made:
        (made / "new").touch()
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    with durable.replacing_folder(folder) as made:
        assert not list(made.iterdir())
        (made / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_killed_between_the_two_renames_the_earlier_folder_comes_back(tmp_path, monkeypatch):
    folder = tmp_path / "model.v2"
    folder.mkdir()
    (folder / "old").touch()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), durable.replacing_folder(folder) as made:
        (made / "new").touch()
        patch.setattr(durable, "rename", killed)
    assert not folder.exists()
    with pytest.raises(RuntimeError), durable.replacing_folder(folder):
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.v2"]


# ------------------------------------------------------------------------------------------------ what a disk lacks


def test_a_full_disk_is_recognised_in_what_libraries_make_of_it(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = full
    rust = Exception("Error while serializing: I/O error: No space left on device (os error 28)")
    assert {durable.lack(error, tmp_path) for error in (full, wrapped, rust)} == {"No space left on device"}


def test_what_is_refused_elsewhere_is_no_lack_here(tmp_path):
    here = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "file"))
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/somewhere/else")
    assert durable.lack(here, tmp_path) == "Permission denied"
    assert durable.lack(elsewhere, tmp_path) is None
    assert durable.lack(ValueError("a mistake"), tmp_path) is None
