// usage: node built/main.js URL TOKEN    asks every operation of the file, and prints what came back as JSON
import { randomUUID } from "node:crypto";
import { Refused, Switchyard } from "./client.js";
import { CreateInstrumentDocument, FilesDocument, InstrumentsDocument, TriggerDocument } from "./generated/graphql.js";

const [url = "", token = ""] = process.argv.slice(2);
const switchyard = new Switchyard(url, token);

const { instruments } = await switchyard.ask(InstrumentsDocument, { first: 2 });
const first = instruments?.nodes[0];
if (first === undefined) throw new Error("there are no instruments");
const { instrument } = await switchyard.ask(FilesDocument, { instrument: first.localId });
const schedule = first.schedules?.nodes[0];
if (schedule === undefined) throw new Error("there is no schedule");
const key = { "idempotency-key": randomUUID() };
const { triggerSchedule } = await switchyard.ask(TriggerDocument, { schedule: schedule.localId }, key);
const again = await switchyard.ask(TriggerDocument, { schedule: schedule.localId }, key);

const refusals = await switchyard
  .ask(CreateInstrumentDocument, { input: { name: "", cifsHost: "nas", cifsShare: "x", serviceAccountId: randomUUID() } })
  .then(
    () => [],
    (error: unknown) => (error instanceof Refused ? error.problems.map(({ extensions }) => extensions) : [error]),
  );

console.log(JSON.stringify({ instruments, instrument, triggerSchedule, again: again.triggerSchedule, refusals }));
