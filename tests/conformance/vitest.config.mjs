import { defineConfig } from "vitest/config"

// A test that passes at the second try has failed.
export default defineConfig({
  test: { include: ["suite.test.mjs"], retry: 0, allowOnly: false, cache: false, watch: false },
})
