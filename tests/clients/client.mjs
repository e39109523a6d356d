// npm @durable-streams/client against the server whose base URL is the first argument.
import assert from "node:assert/strict"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { done, restartServer, until } from "./talk.mjs"

const url = (name) => `${process.argv[2]}/v1/stream/js/${name}`
const json = { contentType: "application/json" }

async function readAll(name) {
  return (await stream({ url: url(name), offset: "-1", live: false })).json()
}

/**
 * Follows a stream live until it is closed; `items` grows. The client reconnects by itself, but for one case: an SSE
 * connection that breaks in the middle ends the session with a TypeError of fetch, and its user goes on from the last
 * offset. `reopened` counts that.
 */
function follow(name, live) {
  const reader = { items: [], reopened: 0 }
  let offset = "-1"
  const run = async () => {
    for (;;) {
      const session = await stream({ url: url(name), offset, live })
      session.subscribeJson(async (batch) => {
        reader.items.push(...batch.items)
        offset = batch.offset
      })
      try {
        return await session.closed
      } catch (error) {
        if (!(error instanceof TypeError && error.message === "terminated")) throw error
        reader.reopened += 1
      }
    }
  }
  reader.closed = run()
  return reader
}

const range = (from, to) => Array.from({ length: to - from }, (_, index) => ({ n: from + index }))
const append = (handle, items) => items.reduce((before, item) => before.then(() => handle.append(JSON.stringify(item))), Promise.resolve())

// Create and append, as bytes.
const text = await DurableStream.create({ url: url("text"), contentType: "text/plain" })
await text.append("hello ")
await text.append("wörld")
assert.equal(await (await text.stream({ live: false })).text(), "hello wörld")
const head = await text.head()
assert.equal(head.contentType, "text/plain")
assert.ok(head.offset > "0000000000000000_0000000000000000")
await assert.rejects(DurableStream.create({ url: url("text"), ...json }), { status: 409 })
assert.deepEqual(await DurableStream.head({ url: url("absent") }), { exists: false })
done("create and append")

// JSON: what is appended while a request is under way goes out as one array, which the server takes apart.
const batch = await DurableStream.create({ url: url("batch"), ...json })
await Promise.all(range(0, 100).map((item) => batch.append(JSON.stringify(item))))
assert.deepEqual(await readAll("batch"), range(0, 100))
done("json batch")

// Idempotent producer: many batches in flight, and a second life that repeats the first one's requests.
const produced = await DurableStream.create({ url: url("produced"), ...json })
for (let life = 0; life < 2; life += 1) {
  const failures = []
  const producer = new IdempotentProducer(produced, "producer-1", {
    epoch: 0,
    maxBatchBytes: 64,
    lingerMs: 1,
    onError: (error) => failures.push(error),
  })
  // A batch for each message, so that both lives send the same requests.
  for (const item of range(0, 50)) {
    producer.append(JSON.stringify(item))
    await producer.flush()
  }
  await producer.detach()
  assert.deepEqual(failures, [])
}
assert.deepEqual(await readAll("produced"), range(0, 50))
const pipelined = new IdempotentProducer(produced, "producer-2", { maxBatchBytes: 256, lingerMs: 0, maxInFlight: 5 })
for (const item of range(50, 1000)) pipelined.append(JSON.stringify(item))
await pipelined.flush()
await pipelined.detach()
assert.deepEqual(await readAll("produced"), range(0, 1000))
done("idempotent producer")

// Live reads that go on across a graceful restart and across a crash.
for (const live of ["long-poll", "sse"]) {
  const name = `live-${live}`
  const handle = await DurableStream.create({ url: url(name), ...json })
  await append(handle, range(0, 10))
  const reader = follow(name, live)
  await until(() => reader.items.length === 10)
  await append(handle, range(10, 20))
  await until(() => reader.items.length === 20)
  assert.deepEqual(reader.items, range(0, 20))
  done(`live ${live}`)

  await restartServer("term")
  await append(handle, range(20, 30))
  await until(() => reader.items.length === 30)
  assert.equal(reader.reopened, 0)
  await restartServer("kill")
  await append(handle, range(30, 40))
  await until(() => reader.items.length === 40)
  assert.deepEqual(reader.items, range(0, 40))
  done(`live ${live} goes on after restarts`)

  // Another reader resumes where a batch ended, and sees the close.
  const saved = (await handle.head()).offset
  const producer = new IdempotentProducer(handle, "closer", { lingerMs: 0 })
  for (const item of range(40, 45)) producer.append(JSON.stringify(item))
  await producer.flush()
  const rest = await stream({ url: url(name), offset: saved, live })
  const resumed = []
  const closed = new Promise((resolve) => {
    rest.subscribeJson(async (received) => {
      resumed.push(...received.items)
      if (received.streamClosed) resolve()
    })
  })
  await producer.close()
  await closed
  assert.deepEqual(resumed, range(40, 45))
  await reader.closed
  assert.deepEqual(reader.items, range(0, 45))
  assert.ok(reader.reopened <= (live === "sse" ? 1 : 0))
  done(`resume ${live}`)
}

await text.delete()
assert.deepEqual(await text.head(), { exists: false })
done("delete")
process.exit(0)
