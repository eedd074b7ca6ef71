import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const PLACES = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => [join(folder, 'chromium'), join(folder, 'chromium-browser'), join(folder, 'google-chrome')])

/** The path of the Chromium of this machine; undefined if there is none. With `REQUIRE_CHROMIUM=1` there has to be one. */
export const findChromium = (): string | undefined => {
  const found = process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path))
  if (found === undefined && process.env.REQUIRE_CHROMIUM === '1')
    throw new Error('Chromium is not installed, and REQUIRE_CHROMIUM=1 is set. On Debian: apt-get install chromium')
  return found
}
