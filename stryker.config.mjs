import jest from './jest.config.js'

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  packageManager: 'npm',
  testRunner: 'jest',
  // The core by its own specs alone; a little chaos goes a long way, and is run for every mutant that it reaches.
  jest: {
    projectType: 'custom',
    // Jest cannot know what core-specs.cjs loads.
    enableFindRelatedTests: false,
    config: {
      ...jest,
      testMatch: ['<rootDir>/spec/mutation/core-specs.cjs'],
      testEnvironment: './spec/mutation/first-failure.cjs',
      setupFilesAfterEnv: ['<rootDir>/spec/mutation/setup.ts']
    }
  },
  mutate: ['lib/core/**/*.ts'],
  ignorePatterns: ['dist', 'coverage', 'reports'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 3_000,
  thresholds: { high: 97, low: 93, break: 90 },
  reporters: ['clear-text', 'progress', 'json'],
  allowEmpty: false
}
