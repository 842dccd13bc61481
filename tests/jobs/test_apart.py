"""Which storage locations an instrument cannot be harvested into."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.vocabulary import StorageType
from jobs.apart import require_apart
from storage.sql.tables import file_records, instruments, storage_locations


def instrument(host: str, share: str, base_path: str | None = None) -> dict[str, object]:
    return {"cifs_host": host, "cifs_share": share, "cifs_base_path": base_path}


def location(kind: StorageType, base_path: str, **config: str) -> dict[str, object]:
    return {"type": kind, "base_path": base_path, "connection_config": config}


def folder(base_path: str, kind: StorageType = StorageType.POSIX) -> dict[str, object]:
    return location(kind, base_path)


def share(host: str, name: str, base_path: str) -> dict[str, object]:
    return location(StorageType.CIFS, base_path, host=host, share=name)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (instrument("file:", "/srv/raw/NMR"), folder("/srv/raw")),
        (instrument("file:", "/srv/raw", "/NMR/"), folder("/srv/raw/")),
        (instrument("file:", "/srv/raw"), folder("/srv/raw")),
        (instrument("FILE://", "/srv/raw"), folder("/srv/raw/copies", StorageType.NFS)),
        (instrument("file:", "/srv/raw/NMR/data"), folder("/srv/raw")),
        (instrument("nas", "data", "nmr"), share("NAS:445", "Data/NMR", "/copies")),
        (instrument("nas", "data\\nmr"), share("nas", "data", "")),
    ],
)
def test_places_that_overlap_are_refused(source, place):
    with pytest.raises(InvalidInput, match="and that is, holds, or lies in the folder that is harvested"):
        require_apart(source, place, "NMR")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (instrument("file:", "/srv/raw/nmr-400"), folder("/srv/raw")),
        (instrument("file:", "/srv/raw"), folder("/srv/raw-copies")),
        (instrument("file:", "/srv"), location(StorageType.S3, "/srv", bucket="b")),
        (instrument("nas", "data", "nmr"), share("nas", "data", "copies")),
        (instrument("nas", "data"), share("other", "data", "")),
        (instrument("nas", "data"), share("nas:1445", "data", "")),
        (instrument("nas", "srv"), folder("/srv")),
    ],
)
def test_all_others_are_not(source, place):
    require_apart(source, place, "NMR")


async def test_links_do_not_hide_it(laboratory, rows, tmp_path):
    laboratory.put("a")
    (tmp_path / "link").symlink_to(laboratory.source)
    await laboratory.change(storage_locations, laboratory.location_id, base_path=str(tmp_path / "link"))

    run = await laboratory.harvest()

    where = f"{tmp_path}/link/NMR 400"
    assert run["message"] == f"the copies would go to {where}, and that is, holds, or lies in the folder that is harvested"
    assert await rows(file_records) == []


async def test_a_file_is_never_copied_onto_itself(laboratory, tmp_path):
    file = laboratory.put("a")
    await laboratory.change(instruments, laboratory.instrument_id, name="share")
    await laboratory.move_archive(tmp_path)
    before = file.stat()

    run = await laboratory.harvest()

    assert "holds, or lies in the folder that is harvested" in run["message"]
    assert file.stat() == before
    assert list(laboratory.source.iterdir()) == [file]
