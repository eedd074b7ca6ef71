import { Agent } from 'undici6'
import { createSolver, type SolverOptions } from 'rx-captcha'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { firstValueFrom } from 'rxjs'
import { byteServers, reply, sends, staysSilent } from '../support/byte-server.js'
import { emulators, until } from '../support/raw-http.js'
import { aTask } from '../support/simulate.js'

const start = emulators()
const serve = byteServers()
const agents: Agent[] = []
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())))

const solverOver = (baseUrl: string, options: Partial<SolverOptions> = {}) => {
  const agent = new Agent()
  agents.push(agent)
  return createSolver({ clientKey: EMULATOR_KEY, baseUrl, dispatcher: agent, pollEveryMs: 1, ...options })
}

describe('a dispatcher of undici 6', () => {
  it('solves a task', async () => {
    const emulator = await start()
    expect(await firstValueFrom(solverOver(emulator.url).solve(aTask))).toMatchObject({ _tag: 'Right' })
  })

  it('gives the headers of a reply', async () => {
    const act = sends(reply('', { 'Retry-After': '7', 'X-Other': 'x' }, 429))
    const solver = solverOver((await serve(act)).origin)
    const delays: unknown[] = []
    solver.events.subscribe((event) => event._tag === 'Delayed' && delays.push(event.waitMs))
    const solving = solver.solve(aTask).subscribe()
    await until(() => delays.length > 0)
    solving.unsubscribe()
    expect(delays).toStrictEqual([7_000])
  })

  it('distinguishes a request that was not sent from one that was', async () => {
    const resetting = await start({ faults: ['createTask:always:reset'] })
    const unreachable = solverOver('http://127.0.0.1:1', { random: () => 0, giveUpAfterMs: 20 })
    expect(await firstValueFrom(unreachable.solve(aTask))).toMatchObject({ left: { _tag: 'NotCreated' } })
    expect(await firstValueFrom(solverOver(resetting.url).solve(aTask))).toMatchObject({
      left: { _tag: 'CreateUnknown', cause: { code: 'ECONNRESET' } }
    })
  })

  it('reads what had arrived of a broken reply', async () => {
    const emulator = await start({ faults: ['createTask:1:cut'] })
    const result = await firstValueFrom(solverOver(emulator.url).solve(aTask))
    expect(result).toMatchObject({ left: { status: 200, excerpt: expect.stringContaining('errorId') as string } })
  })

  it('closes the connection when the subscriber unsubscribes', async () => {
    const server = await serve([sends(reply('{"errorId":0,"taskId":"id-1"}')), staysSilent])
    const solving = solverOver(server.origin).solve(aTask).subscribe()
    await until(() => server.requests().length === 2)
    solving.unsubscribe()
    // That of createTask and that of the poll; undici 6 opens another one, and sends nothing on it.
    await until(() => server.accepted() - server.open() === 2)
    expect(server.requests()).toHaveLength(2)
  })
})
