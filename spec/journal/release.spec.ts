import { readFileSync } from 'node:fs'
import { lastValueFrom, type Observable } from 'rxjs'
import { journals, stateOf } from '../support/journals.js'

const { at, start } = journals()

const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
const done = <A>(observable: Observable<A>): Promise<A> => lastValueFrom(observable)

describe('release', () => {
  it.each(['InDoubt', 'Known', 'Finished'] as const)('makes a key fresh that is %s', async (state) => {
    const journal = await start()
    if (state === 'InDoubt') await done(journal.begin('k'))
    if (state === 'Known') await done(journal.created('k', ref))
    if (state === 'Finished') await done(journal.ended('k', 'TaskFailed'))
    expect(await stateOf(journal, 'k')).toContain(state)

    await done(journal.release('k'))
    expect(await stateOf(journal, 'k')).toBe('Fresh')
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Fresh' })
  })

  it('is remembered over restarts, and does not touch what happened later', async () => {
    const path = at('released.journal')
    const journal = await start(path)
    await done(journal.ended('k', 'TaskFailed'))
    await done(journal.release('k'))
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    await journal.close()
    await (await start(path)).close()
    const third = await start(path)

    expect(await done(third.find('k'))).toStrictEqual({ _tag: 'Known', ref })
    expect([third.isReleased('k'), third.isReleased('other')]).toStrictEqual([true, false])
    expect([...third.releasedKeys()]).toStrictEqual(['k'])
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4)
  })

  it('leaves the other keys as they are, and entries lists those that are not fresh', async () => {
    const journal = await start()
    await done(journal.ended('a', 'Solved'))
    await done(journal.begin('b'))
    await done(journal.created('c', ref))
    await done(journal.release('b'))

    expect([...journal.entries()]).toStrictEqual([
      ['a', { _tag: 'Finished', tag: 'Solved' }],
      ['c', { _tag: 'Known', ref }]
    ])
  })
})
