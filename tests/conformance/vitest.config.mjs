import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["suite.test.mjs"],
    // A test that passes at the second try has failed.
    retry: 0,
    allowOnly: false,
    watch: false,
    cache: false,
    // The default of 5 s is too short for one test that makes 100,000 assertions, when other tests take the cores.
    // Tests that wait for something bring limits of their own.
    testTimeout: 30_000,
  },
})
