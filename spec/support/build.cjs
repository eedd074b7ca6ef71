// Takes the types off `lib` into the `dist` of the folder that is given. A process of its own, because the compiler takes a
// second to load in the sandbox of jest.
const { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { ModuleKind, ScriptTarget, transpileModule } = require('typescript')

const root = join(__dirname, '../..')
const [folder] = process.argv.slice(2)
const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2023 }

mkdirSync(folder)
cpSync(join(root, 'package.json'), join(folder, 'package.json'))
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
for (const file of readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue
  const { outputText } = transpileModule(readFileSync(join(root, 'lib', file), 'utf8'), { compilerOptions })
  mkdirSync(join(folder, 'dist', dirname(file)), { recursive: true })
  writeFileSync(join(folder, 'dist', file.replace(/ts$/, 'js')), outputText)
}
