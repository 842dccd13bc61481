"""What each type of storage location needs: contract streamweave §5."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.vocabulary import StorageType
from resolvers.instruments.connection_config import MASK, Settings, complete, merged, require_every_key

S3 = {"bucket": "b", "region": "r", "access_key_id": "k", "secret_access_key": "s3cret"}
CIFS = {"host": "h", "share": "s", "username": "u", "password": "s3cret"}
NFS = {"host": "h", "export_path": "/e"}


def missing(kind, config) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        complete(kind, config)
    assert {(problem.kind, problem.message) for problem in refused.value.problems} == {("missing", "Field required")}
    return [str(problem.path[0]) for problem in refused.value.problems]


@pytest.mark.parametrize("config", [None, {}, {"anything": {"goes": [1]}, "password": "not ours to hide"}])
def test_posix_takes_anything_as_it_is(config):
    assert complete(StorageType.POSIX, config) == Settings(config)


def test_optional_keys_are_filled_unknown_ones_dropped_secrets_split():
    assert complete(StorageType.S3, {**S3, "unknown": 1}) == Settings(
        {**S3, "secret_access_key": MASK, "endpoint_url": None}, {"secret_access_key": "s3cret"}
    )
    assert complete(StorageType.CIFS, CIFS) == Settings({**CIFS, "password": MASK, "domain": None}, {"password": "s3cret"})
    assert complete(StorageType.NFS, NFS) == Settings({**NFS, "mount_options": None})


def test_optional_keys_are_kept():
    assert complete(StorageType.NFS, {**NFS, "mount_options": "ro"}) == Settings({**NFS, "mount_options": "ro"})


@pytest.mark.parametrize(("kind", "whole"), [(StorageType.S3, S3), (StorageType.CIFS, CIFS), (StorageType.NFS, NFS)])
def test_every_missing_key_is_named(kind, whole):
    assert missing(kind, {}) == list(whole)
    assert missing(kind, None) == list(whole)
    for key in whole:
        assert missing(kind, {name: value for name, value in whole.items() if name != key}) == [key]


def test_a_mask_is_no_secret_when_none_is_stored():
    assert missing(StorageType.CIFS, {**CIFS, "password": MASK}) == ["password"]


@pytest.mark.parametrize("value", [None, 5, ["h"]])
def test_values_are_texts(value):
    with pytest.raises(InvalidInput) as refused:
        complete(StorageType.NFS, {"host": value, "export_path": "/e", "mount_options": None})

    (problem,) = refused.value.problems
    assert (problem.path, problem.kind, problem.value) == (("host",), "string_type", value)


def test_a_wrong_secret_is_not_echoed():
    with pytest.raises(InvalidInput) as refused:
        complete(StorageType.CIFS, {**CIFS, "password": ["s3cret"]})

    assert "s3cret" not in repr(refused.value.problems)


def test_settings_do_not_print_secrets():
    assert "s3cret" not in repr(complete(StorageType.CIFS, CIFS))


def test_merging_replaces_keys_one_by_one():
    stored = {**CIFS, "password": MASK, "domain": "LAB"}

    assert merged(StorageType.CIFS, stored, {"host": "other", "unknown": 1}) == Settings({**stored, "host": "other"})


def test_merging_keeps_a_masked_secret_and_takes_a_new_one():
    stored = {**CIFS, "password": MASK, "domain": None}

    assert merged(StorageType.CIFS, stored, {"password": MASK}) == Settings(stored)
    assert merged(StorageType.CIFS, stored, {"password": "new"}) == Settings(stored, {"password": "new"})


def test_merging_sets_an_optional_key_to_null():
    stored = {**NFS, "mount_options": "ro"}

    assert merged(StorageType.NFS, stored, {"mount_options": None}) == Settings({**NFS, "mount_options": None})


def test_merging_refuses_null_for_a_required_key():
    with pytest.raises(InvalidInput) as refused:
        merged(StorageType.NFS, {**NFS, "mount_options": None}, {"host": None})

    assert refused.value.field == "host"


def test_merging_into_nothing():
    assert merged(StorageType.POSIX, None, {"a": 1}) == Settings({"a": 1})
    assert merged(StorageType.POSIX, {"a": 1, "b": 2}, {"b": None}) == Settings({"a": 1, "b": None})


def test_every_required_key_can_be_asked_for():
    require_every_key(StorageType.POSIX, {})
    require_every_key(StorageType.NFS, NFS)
    with pytest.raises(InvalidInput) as refused:
        require_every_key(StorageType.NFS, {"host": "h"})
    assert refused.value.field == "export_path"
