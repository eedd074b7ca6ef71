import * as fc from 'fast-check'
import { suggest } from '../../../lib/core/validation/suggest.js'

const names = ['clientKey', 'baseUrl', 'pollEveryMs', 'createsPerSecond', 'post', 'label', 'constructor']

describe('suggest', () => {
  it.each([
    ['baseURL', 'baseUrl'],
    ['base_url', 'baseUrl'],
    ['base-url', 'baseUrl'],
    ['BASEURL', 'baseUrl'],
    ['clientkey', 'clientKey'],
    ['clinetKey', 'clientKey'],
    ['pollEvery', 'pollEveryMs'],
    ['createPerSecond', 'createsPerSecond'],
    ['createsPerSec', 'createsPerSecond'],
    ['lable', 'label'],
    ['Post', 'post'],
    ['poste', 'post'],
    ['constructer', 'constructor']
  ])('finds the name that %s was meant to be', (given, meant) => {
    expect(suggest(given, names)).toBe(meant)
  })

  it.each(['', 'p', 'key', 'url', 'timeout', 'pollInterval', 'toast', 'paxt', 'psxt', 'pxot', 'toString', '__proto__'])(
    'finds nothing for %p, which is near to no name',
    (given) => {
      expect(suggest(given, names)).toBeUndefined()
    }
  )

  it('finds the nearest of several names', () => {
    expect(suggest('createTimeout', ['createTimeoutMs', 'resultTimeout', 'createTimeouts'])).toBe('createTimeouts')
  })

  it('finds a short name if one letter differs', () => {
    expect(suggest('kay', ['url', 'key'])).toBe('key')
  })

  it('finds a name of 40 letters', () => {
    const name = 'n'.repeat(40)
    expect(suggest(`${name.slice(1)}m`, [name])).toBe(name)
  })

  it('finds the first of names that are equally near', () => {
    expect(suggest('tost', ['test', 'post'])).toBe('test')
  })

  it('finds nothing for a name of a million letters, at once', () => {
    expect(suggest('baseUrl'.repeat(150_000), names)).toBeUndefined()
  })

  it('finds every name after one letter is changed, left out or added, in any case', () => {
    const change = fc.tuple(fc.constantFrom(...names), fc.nat(3), fc.nat(1), fc.string({ maxLength: 1 }), fc.boolean())
    fc.assert(
      fc.property(change, ([name, at, removed, added, upper]) => {
        const changed = name.slice(0, at) + added + name.slice(at + removed)
        return suggest(upper ? changed.toUpperCase() : changed, names) === name
      })
    )
  })
})
