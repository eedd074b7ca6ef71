/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/spec/**/*.spec.ts'],
  // `npm run browser` runs these.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/spec/browser/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.stryker-tmp/'],
  // Types are checked by `npm run types`; here they are only taken off (isolatedModules).
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.spec.json' }] },
  moduleNameMapper: {
    '^rx-captcha$': '<rootDir>/lib/index.ts',
    '^rx-captcha/testing$': '<rootDir>/lib/testing/index.ts',
    '^rx-captcha/emulator$': '<rootDir>/lib/emulator/index.ts',
    '^rx-captcha/journal$': '<rootDir>/lib/journal/index.ts',
    '^rx-captcha/bullmq$': '<rootDir>/lib/bullmq/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1'
  },
  globalSetup: '<rootDir>/spec/support/build-folder.cjs',
  globalTeardown: '<rootDir>/spec/support/remove-build-folder.cjs',
  setupFilesAfterEnv: ['<rootDir>/spec/support/setup.ts'],
  maxWorkers: '100%',
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
        'cli/batch',
        'cli/queue',
        'cli/demo'
      ].map((folder) => [`./lib/${folder}/`, { branches: 95 }])
    ),
    // what no key above names
    global: { branches: 95 }
  }
}
