// npm @durable-streams/client through a proxy over several nodes, while leaders are killed: the base URL is the first
// argument. Writes and follows until it is told to stop, and then checks that everything came once and in order.
import assert from "node:assert/strict"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { done, told, until } from "./talk.mjs"

const url = (name) => `${process.argv[2]}/v1/stream/js-failover/${name}`
const json = { contentType: "application/json" }
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const range = (count) => Array.from({ length: count }, (_, n) => ({ n }))

/**
 * Follows a stream live until it is closed. A connection that breaks in the middle of an answer ends a session with a
 * TypeError of fetch, and its user goes on from the last offset.
 */
function follow(name, live) {
  const reader = { items: [], reopened: 0 }
  let offset = "-1"
  const run = async () => {
    for (;;) {
      try {
        const session = await stream({ url: url(name), offset, live })
        session.subscribeJson(async (batch) => {
          reader.items.push(...batch.items)
          offset = batch.offset
        })
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

/** One stream with a producer that has several batches under way, and two who follow. */
async function begin(name) {
  const handle = await DurableStream.create({ url: url(name), ...json })
  const errors = []
  const producer = new IdempotentProducer(handle, `producer-of-${name}`, {
    lingerMs: 2,
    maxInFlight: 5,
    maxBatchBytes: 512,
    onError: (error) => errors.push(error),
  })
  const readers = ["long-poll", "sse"].map((live) => follow(name, live))
  return { name, producer, errors, readers, count: 0 }
}

const streams = await Promise.all(["a", "b"].map(begin))
done("begin")
let stopped = false
const stop = told("stop").then(() => (stopped = true))
await Promise.all(
  streams.map(async (each) => {
    while (!stopped) {
      for (let burst = 0; burst < 10; burst += 1) {
        each.producer.append(JSON.stringify({ n: each.count }))
        each.count += 1
      }
      await pause(20)
      // Not more than a second or so ahead, so that memory stays bounded while nobody leads.
      if (each.count % 500 === 0) await each.producer.flush()
    }
    await each.producer.flush()
    await each.producer.close()
  })
)
await stop
for (const each of streams) {
  assert.deepEqual(each.errors, [])
  const stored = await (await stream({ url: url(each.name), offset: "-1", live: false })).json()
  assert.deepEqual(stored, range(each.count))
  for (const reader of each.readers) {
    await until(() => reader.items.length >= each.count)
    await reader.closed
    assert.deepEqual(reader.items, range(each.count))
  }
}
const total = streams.reduce((sum, each) => sum + each.count, 0)
assert.ok(total > 1000, `only ${total} messages`)
console.log(`count ${total}`)
done("everything once and in order")
process.exit(0)
