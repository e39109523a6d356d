// The official suite against the server at WEIR_URL. Its own command line finds no tests under vitest 4.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

const baseUrl = process.env.WEIR_URL
if (!baseUrl) throw new Error("WEIR_URL must be the base URL of the server under test")

// Subscriptions (6 more tests) are not served.
runConformanceTests({ baseUrl, longPollTimeoutMs: 1000, subscriptions: false })
