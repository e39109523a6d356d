// How a client program and the test that runs it talk: lines on stdout and stdin.
import { createInterface } from "node:readline"

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Reports a step that went well. */
export function done(step) {
  console.log(`ok ${step}`)
}

/** Waits until the test says this. */
export async function told(expected) {
  const { value } = await answers.next()
  if (value !== expected) throw new Error(`expected '${expected}', got ${value}`)
}

/** Has the server ended ("term": gracefully, "kill": not) and started again; returns when it serves. */
export async function restartServer(how) {
  console.log(`restart ${how}`)
  await told("restarted")
}

/** Waits until `condition` holds; the test that runs this has the time limit. */
export async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}
