// npm @durable-streams/state: a small address book that lives in a stream, kept alike in two places.
import assert from "node:assert/strict"
import { DurableStream } from "@durable-streams/client"
import { createStateSchema } from "@durable-streams/state"
import { createStreamDB } from "@durable-streams/state/db"
import { done, restartServer, until } from "./talk.mjs"

const url = `${process.argv[2]}/v1/stream/js/address-book`

const person = {
  "~standard": {
    version: 1,
    vendor: "weir-tests",
    validate: (value) =>
      typeof value?.name === "string" ? { value } : { issues: [{ message: "a person has a name" }] },
  },
}
const schema = createStateSchema({ people: { schema: person, type: "person", primaryKey: "id" } })

async function open() {
  const db = createStreamDB({ streamOptions: { url, contentType: "application/json" }, state: schema })
  await db.preload()
  return db
}

const stream = await DurableStream.create({ url, contentType: "application/json" })
const write = (event) => stream.append(JSON.stringify(event))
await write(schema.people.insert({ value: { id: "1", name: "Ada" } }))
await write(schema.people.insert({ value: { id: "2", name: "Grace" } }))
await write(schema.people.update({ value: { id: "1", name: "Ada Lovelace" } }))

const first = await open()
assert.equal(first.collections.people.get("1").name, "Ada Lovelace")
assert.equal(first.collections.people.size, 2)
done("state preload")

await write(schema.people.delete({ key: "2" }))
await write(schema.people.insert({ value: { id: "3", name: "Barbara" } }))
await until(() => first.collections.people.has("3") && !first.collections.people.has("2"))
done("state follows")

await restartServer("term")
await write(schema.people.insert({ value: { id: "4", name: "Radia" } }))
await until(() => first.collections.people.has("4"))
const second = await open()
const names = (db) => [...db.collections.people.values()].map((entry) => entry.name).sort()
assert.deepEqual(names(second), ["Ada Lovelace", "Barbara", "Radia"])
assert.deepEqual(names(first), names(second))
done("state goes on after a restart")
first.close()
second.close()
process.exit(0)
