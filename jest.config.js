const { availableParallelism } = require('node:os')

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/spec/support/environment.cjs',
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
  // More than cores, because many tests wait for a process or a deadline.
  maxWorkers: Math.ceil(1.5 * availableParallelism())
}
