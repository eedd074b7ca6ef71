const jest = require('../jest.config.js')

/** @type {import('jest').Config} */
module.exports = {
  ...jest,
  rootDir: '..',
  // As many as cores, because counting takes time from the tests that have a deadline.
  maxWorkers: '100%',
  // Nothing that runs in a process of its own is counted, and the long tests of the whole system reach no line that others miss.
  testPathIgnorePatterns: [
    ...jest.testPathIgnorePatterns,
    '<rootDir>/spec/bullmq/([^/]+$|crashes/)',
    '<rootDir>/spec/cli/(batch/kill|process|queue/process)',
    '<rootDir>/spec/docs/',
    '<rootDir>/spec/journal/(crash|delivery)',
    '<rootDir>/spec/system/(?!guarantees|secrets|time)'
  ],
  // Not v8: it counts the branches of code that is never called as covered.
  coverageProvider: 'babel',
  // main.ts runs in child processes only.
  collectCoverageFrom: ['lib/**/*.ts', '!lib/cli/main.ts'],
  coverageReporters: ['text', 'lcovonly'],
  coverageThreshold: {
    './lib/core/': { branches: 100, functions: 100, lines: 100, statements: 100 },
    ...Object.fromEntries(
      [
        'http',
        'diagnostics',
        'journal',
        'bullmq',
        'emulator',
        'cli/shared',
        'cli/solve',
        'cli/input',
        'cli/batch',
        'cli/queue',
        'cli/demo'
      ].map((folder) => [`./lib/${folder}/`, { branches: 95 }])
    ),
    // what no key above names
    global: { branches: 95 }
  }
}
