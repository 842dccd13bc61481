"""usage: python main.py URL TOKEN    asks every operation of the file, and prints what came back as JSON."""
# ruff: noqa: T201  # a program of its own, with a package that is generated

import json
import sys
from uuid import uuid4

import httpx
from switchyard_client import Switchyard
from switchyard_client.exceptions import GraphQLClientGraphQLMultiError
from switchyard_client.input_types import CreateInstrumentInput

url, token = sys.argv[1:]
http = httpx.Client(headers={"Authorization": f"Bearer {token}"})
switchyard = Switchyard(url=url, http_client=http)

instruments = switchyard.instruments(first=2).instruments
first = instruments.nodes[0]
instrument = switchyard.files(instrument=first.local_id).instrument
schedule = first.schedules.nodes[0].local_id
key = {"Idempotency-Key": str(uuid4())}
triggered = switchyard.trigger(schedule=schedule, headers=key).trigger_schedule
again = switchyard.trigger(schedule=schedule, headers=key).trigger_schedule

refusals = []
try:
    new = CreateInstrumentInput(name="", cifs_host="nas", cifs_share="x", service_account_id=uuid4())
    switchyard.create_instrument(input=new)
except GraphQLClientGraphQLMultiError as refused:
    refusals = [error.extensions for error in refused.errors]


def shown(result):
    """As it came over the wire."""
    return result and result.model_dump(mode="json", by_alias=True)


answers = {"instruments": instruments, "instrument": instrument, "triggerSchedule": triggered, "again": again}
print(json.dumps({name: shown(answer) for name, answer in answers.items()} | {"refusals": refusals}))
