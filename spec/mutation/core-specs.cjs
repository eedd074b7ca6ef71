const { readdirSync } = require('node:fs')
const { join } = require('node:path')

// All specs of the core as one file: it loads the modules once for each change, and forty files load them forty times.
const CORE = join(__dirname, '../core')

/** Most changes fail a test before these run. */
const isSlow = (path) => /(chaos|interop|brake|document|redact|lenient-json)\.spec\.ts$/.test(path)

const paths = readdirSync(CORE, { recursive: true })
  .filter((path) => path.endsWith('.spec.ts'))
  .sort((one, other) => isSlow(one) - isSlow(other) || one.localeCompare(other))

for (const path of paths)
  describe(path, () => {
    require(join(CORE, path))
  })
