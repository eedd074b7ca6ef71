// Runs a program of the documentation, with its solver at the address of an emulator and at a fast pace. Arguments: the file of the
// program as CommonJS, the folder of a build, the base URL.
const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')

const [, , program, build, baseUrl] = process.argv
const fromBuild = createRequire(join(build, 'package.json'))
const rxCaptcha = fromBuild('rx-captcha')
const createSolver = (options) => rxCaptcha.createSolver({ ...options, baseUrl, pollEveryMs: 20 })
const load = (name) => (name === 'rx-captcha' ? { ...rxCaptcha, createSolver } : fromBuild(name))
new Function('require', 'exports', readFileSync(program, 'utf8'))(load, {})
