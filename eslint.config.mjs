import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import rxjsX from 'eslint-plugin-rxjs-x'
import tseslint from 'typescript-eslint'

// The clock, the network and chance reach the core through its ports.
const WORLD = [
  ...['Date', 'performance', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'clearTimeout'],
  ...['clearInterval', 'clearImmediate', 'process', 'fetch', 'console', 'crypto', 'globalThis', 'global', 'require']
]

const CAN_PARSE = { object: 'URL', property: 'canParse', message: "Once hot, Node 20's refuses umlauts: use urlOf." }

const IMPORTS = [
  { regex: '^rxjs/(?!testing$)', message: "Only 'rxjs' and 'rxjs/testing' are entries." },
  {
    regex: '^fp-ts($|/(?!lib/\\w+\\.js$))',
    message: "Write 'fp-ts/lib/Either.js': the root loads ten times slower, the rest fails under Node's ES modules."
  },
  { regex: '^io-ts/(?!lib/\\w+\\.js$)', message: "Write 'io-ts' or 'io-ts/lib/PathReporter.js'." }
]

const UNDICI = { regex: '^undici$', allowTypeImports: true, message: "Write 'undici/index.js': Bun replaces 'undici'." }

export default defineConfig(
  globalIgnores([
    'dist/',
    'spec/testing/runners/',
    'coverage/',
    'reports/',
    '.stryker-tmp/',
    '**/*.js',
    '**/*.cjs',
    '**/*.mjs'
  ]),
  {
    files: ['**/*.ts'],
    extends: [
      js.configs.recommended,
      tseslint.configs.strictTypeChecked,
      tseslint.configs.stylisticTypeChecked,
      rxjsX.configs.recommended
    ],
    languageOptions: { parserOptions: { project: './tsconfig.spec.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
      'no-restricted-imports': ['error', { patterns: IMPORTS }],
      'rxjs-x/no-exposed-subjects': 'error',
      'rxjs-x/no-floating-observables': 'error',
      eqeqeq: 'error',
      'func-style': ['error', 'expression'],
      'prefer-arrow-callback': 'error',
      'object-shorthand': 'error',
      '@typescript-eslint/array-type': ['error', { default: 'array', readonly: 'generic' }],
      '@typescript-eslint/consistent-type-definitions': 'off', // an interface is not assignable to Json, a type is
      '@typescript-eslint/consistent-indexed-object-style': 'off', // the name of an index tells the reader something
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true }
      ],
      // Without enums that rule finds nothing, and it takes a tenth of the time.
      'no-restricted-syntax': ['error', { selector: 'TSEnumDeclaration', message: 'Write a union of literals.' }],
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        {
          allowDefaultCaseForExhaustiveSwitch: false,
          considerDefaultExhaustiveForUnions: false,
          requireDefaultForNonUnion: false
        }
      ]
    }
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 250, skipBlankLines: false, skipComments: false }],
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
      'no-restricted-properties': ['error', CAN_PARSE],
      'no-restricted-imports': ['error', { patterns: [...IMPORTS, UNDICI] }]
    }
  },
  {
    files: ['lib/core/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...WORLD.map((name) => ({ name, message: 'The core asks its ports.' }))],
      'no-restricted-properties': [
        'error',
        CAN_PARSE,
        { object: 'Math', property: 'random', message: 'The core asks its ports.' }
      ]
    }
  },
  {
    files: ['spec/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 600 }],
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      'rxjs-x/no-ignored-takewhile-value': 'off',
      'rxjs-x/no-floating-observables': 'off'
    }
  }
)
