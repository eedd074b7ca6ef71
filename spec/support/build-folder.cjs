const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

/** Before a run of jest: a folder for what `built` shares between its files. */
module.exports = () => {
  process.env.RX_CAPTCHA_BUILD_FOLDER = mkdtempSync(join(tmpdir(), 'rx-captcha-build-'))
}

/** After the run. */
module.exports.remove = () => rmSync(process.env.RX_CAPTCHA_BUILD_FOLDER, { recursive: true })
