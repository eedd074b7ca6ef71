// Writes the report of the public types from the declarations in dist; with `--check`, fails if the report is not up to date.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { ROOT } from './pack.mjs'

const REPORT = join(ROOT, 'spec/package/public-types.txt')
const { exports: entries } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const files = Object.entries(entries).flatMap(([path, { types }]) => (types ? [[path, join(ROOT, types)]] : []))

const program = ts.createProgram(
  files.map(([, file]) => file),
  { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, types: ['node'] }
)
const checker = program.getTypeChecker()
const printer = ts.createPrinter({ removeComments: true })

const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
const isOurs = (node) => node.getSourceFile().fileName.startsWith(join(ROOT, 'dist'))

/** The statement of a file that holds the node. */
const statementOf = (node) => (ts.isSourceFile(node.parent) ? node : statementOf(node.parent))
const statementsOf = (symbol) => (resolved(symbol).declarations ?? []).filter(isOurs).map(statementOf)

/** The statements of the names in a statement: a change of these is a change of what a user sees as well. */
const namedIn = (node) => {
  const symbol = ts.isIdentifier(node) ? checker.getSymbolAtLocation(node) : undefined
  const here = symbol ? statementsOf(symbol) : []
  const below = []
  ts.forEachChild(node, (child) => void below.push(...namedIn(child)))
  return [...here, ...below]
}

const textOf = (statement) =>
  printer
    .printNode(ts.EmitHint.Unspecified, statement, statement.getSourceFile())
    .replace(/^(export )?(declare )?/, '')
    .trim()

const exportsOf = (file) => checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)))
const reported = new Set()
const collect = (statement) => {
  if (reported.has(statement)) return
  reported.add(statement)
  namedIn(statement).forEach(collect)
}

const names = files.map(([path, file]) => {
  const symbols = exportsOf(file)
  symbols.flatMap(statementsOf).forEach(collect)
  const list = symbols.map(({ name }) => name).sort()
  return [`// ${join('rx-captcha', path)} exports`, ...list.map((name) => `//   ${name}`)].join('\n')
})
const types = [...reported].filter((statement) => !ts.isImportDeclaration(statement)).map(textOf)
const report = [
  '// The public types, without comments: the exports of each entry, and every declaration that they name.',
  '// Made by `npm run public-types`. A change here is a change for users: docs/versioning.md says which version it needs.',
  ...names,
  ...[...new Set(types)].sort(),
  ''
].join('\n\n')

if (!process.argv.includes('--check')) writeFileSync(REPORT, report)
else if (readFileSync(REPORT, 'utf8') !== report) {
  console.error('The public types have changed: run `npm run public-types`, and read the difference.')
  process.exitCode = 1
}
