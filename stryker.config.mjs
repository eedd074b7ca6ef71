import jest from './jest.config.js'

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  packageManager: 'npm',
  testRunner: 'jest',
  // The core by its own specs alone; a little chaos goes a long way, and is run for every mutant that it reaches.
  jest: {
    projectType: 'custom',
    config: {
      ...jest,
      testMatch: ['<rootDir>/spec/core/**/*.spec.ts'],
      setupFilesAfterEnv: [...jest.setupFilesAfterEnv, '<rootDir>/spec/support/unhandled-errors.ts'],
      coverageThreshold: {}
    }
  },
  mutate: ['lib/core/**/*.ts'],
  ignorePatterns: ['dist', 'coverage', 'reports', 'docs'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  thresholds: { high: 97, low: 93, break: 90 },
  reporters: ['clear-text', 'progress', 'json'],
  allowEmpty: false
}
