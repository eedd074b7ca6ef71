module.exports = {
  testMatch: ['<rootDir>/*.jest.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.json' }] }
}
