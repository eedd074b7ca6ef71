const vm = require('node:vm')

// Jest compiles each module again for each file of tests. V8 reuses the bytecode of a script whose text it has seen, but not that of
// `compileFunction`, so a script is compiled here instead. `import()` fails in it, as it does in jest without a flag of Node.
const { compileFunction } = vm
vm.compileFunction = (code, parameters, options) => {
  if (!options?.parsingContext) return compileFunction(code, parameters, options)
  const script = new vm.Script(`(function (${parameters.join(', ')}) {${code}\n})`, { filename: options.filename })
  return script.runInContext(options.parsingContext)
}
