"""The application whose items of lookups are in Elasticsearch: over HTTP, with the server and without."""

from __future__ import annotations

import pytest

from app.doctor import Level, examine
from app.settings import Settings
from core.errors import Unavailable
from tests.contract.lookups.declaring import ACCESS, CONTROL, EDIT, OK, TENANT, declare, failed, item, listed, upload
from tests.contract.support import running, told
from tests.elasticsearch import own_indexes
from tests.servers import address
from tests.smb import free_port

CSV = "_id;name;people\nCZ;Česko;18446744073709551615\nSK;Slovensko;5\n"


@pytest.fixture
async def world(tmp_path):
    async with own_indexes() as (_, prefix):
        settings = {"SWITCHYARD_ELASTICSEARCH_URL": address("elasticsearch"), "SWITCHYARD_ELASTICSEARCH_PREFIX": prefix}
        async with running(tmp_path, **settings) as world:
            yield world


@pytest.fixture
async def lonely(tmp_path):
    """Nobody listens where its Elasticsearch should be."""
    async with running(tmp_path, SWITCHYARD_ELASTICSEARCH_URL=f"http://ann:hunter-two@127.0.0.1:{free_port()}") as world:
        yield world


@pytest.mark.slow
async def test_a_lookup_from_its_declaration_to_its_end(world):
    editor = world.vouched({TENANT: [ACCESS, EDIT]})
    path = await declare(editor)
    assert told(await upload(editor, path, CSV)) == (200, {"result": "OK", "count": 2})
    assert await item(editor, path, "CZ") == {"_id": "CZ", "_keys": ["CZ"], "name": "Česko", "people": 2**64 - 1}
    assert await listed(editor, path, "?f=ČES") == ["CZ"]
    assert await listed(editor, path, "?speople=a") == ["SK", "CZ"]
    exported = "_id;name;people;location\r\nCZ;Česko;18446744073709551615;\r\nSK;Slovensko;5;\r\n"
    assert (await editor.get(f"{path}/export")).text == exported
    assert told(await editor.delete(f"{path}/CZ")) == OK
    assert await listed(editor, path) == ["SK"]
    assert told(await editor.delete(f"{CONTROL}/countries.standard")) == OK
    assert (await editor.get(path)).status_code == 404


@pytest.mark.slow
async def test_the_store_is_one_of_those_that_readiness_tells_of(world):
    ready = (await world.anonymous().get("/health/ready")).json()
    assert [(each["name"], each["status"]) for each in ready["checks"] if each["name"] == "lookups"] == [("lookups", "ok")]


async def test_every_request_for_items_says_at_once_that_the_store_does_not_answer(lonely):
    editor = lonely.vouched({TENANT: [ACCESS, EDIT]})
    path = await declare(editor)
    for reply in (
        await editor.get(path),
        await editor.get(f"{path}/CZ"),
        await editor.get(f"{path}/by?field=name&value=x"),
        await editor.post(path, json={"keys": ["CZ"], "fields": {}}),
        await editor.request("PUT", f"{path}/CZ", json={"fields": {"name": "x"}}),
        await editor.delete(f"{path}/CZ"),
        await upload(editor, path, CSV),
        await editor.delete(f"{CONTROL}/countries.standard/items"),
    ):
        assert failed(reply, 503) == "the lookup store does not answer"


async def test_declarations_do_not_need_the_store(lonely):
    editor = lonely.vouched({TENANT: [ACCESS, EDIT]})
    await declare(editor)
    assert [each["id"] for each in (await editor.get(CONTROL)).json()["data"]] == ["countries.standard"]
    assert told(await editor.delete(f"{CONTROL}/countries.standard")) == OK


async def test_a_store_that_does_not_answer_is_a_warning(lonely):
    reply = await lonely.anonymous().get("/health/ready")
    (found,) = [each for each in reply.json()["checks"] if each["name"] == "lookups"]
    assert (reply.status_code, found["status"], found["detail"]) == (200, "warning", "does not answer")


async def test_the_password_is_shown_nowhere(lonely, caplog):
    with pytest.raises(Unavailable):
        await lonely.parts.elasticsearch.version()
    assert "hunter-two" not in caplog.text + repr(lonely.parts.settings)


@pytest.mark.parametrize("url", ["localhost:9200", "http://localhost", "ftp://localhost:9200", "http://localhost:9200 x"])
def test_what_is_no_address_of_a_server(url):
    with pytest.raises(ValueError, match="with the port"):
        Settings(_env_file=None, SWITCHYARD_ELASTICSEARCH_URL=url)


async def test_the_doctor_says_that_it_does_not_answer(tmp_path):
    settings = Settings(
        _env_file=None, SWITCHYARD_DATA_DIR=tmp_path, SWITCHYARD_ELASTICSEARCH_URL=f"http://127.0.0.1:{free_port()}"
    )
    (found,) = [each async for each in examine(settings) if each.about == "lookups"]
    assert (found.level, found.said) == (Level.PROBLEM, "Elasticsearch does not answer")
