"""Cancelling a harvest over GraphQL."""

from __future__ import annotations

from uuid import uuid4

CANCEL = """mutation ($run: UUID!) {
  cancelRun(input: { localId: $run }) { run { state message cancelRequestedAt log { nodes { level message } } } }
}"""


async def _waiting_run(world) -> str:
    async def make(path: str, **body: object) -> str:
        return (await world.admin.request("POST", path, json=body)).json()["id"]

    instrument = await make("/api/instruments", name="NMR", cifs_host="file:", cifs_share="/nowhere")
    location = await make("/api/storage-locations", name="Archive", type="posix", base_path="/nowhere")
    schedule = await make(
        "/api/schedules", instrument_id=instrument, default_storage_location_id=location, cron_expression="0 0 1 1 *"
    )
    return (await world.admin.request("POST", f"/api/schedules/{schedule}/trigger")).json()["flow_run_id"]


async def test_a_waiting_harvest_is_cancelled_once(world):
    run = await _waiting_run(world)
    assert (await world.admin.ask(CANCEL, {"run": run}))["data"] == {
        "cancelRun": {
            "run": {
                "state": "CANCELED",
                "message": "the run was cancelled",
                "cancelRequestedAt": None,
                "log": {"nodes": [{"level": "warning", "message": "Somebody asked to cancel the run"}]},
            }
        }
    }
    (error,) = (await world.admin.ask(CANCEL, {"run": run}))["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("the run has ended already: it is CANCELED", "CONFLICT")


async def test_others_may_not(world):
    run = await _waiting_run(world)
    for caller, code in ((world.user, "FORBIDDEN"), (world.anonymous, "UNAUTHENTICATED")):
        answer = await caller.ask(CANCEL, {"run": run})
        assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"cancelRun": None}, code)
    state = "query ($run: UUID!) { harvestRun(localId: $run) { state } }"
    assert (await world.admin.ask(state, {"run": run}))["data"] == {"harvestRun": {"state": "QUEUED"}}


async def test_a_run_that_is_not_there(world):
    (error,) = (await world.admin.ask(CANCEL, {"run": str(uuid4())}))["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Run not found", "NOT_FOUND")
