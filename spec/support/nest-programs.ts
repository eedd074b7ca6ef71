import { spawn, type ChildProcess } from 'node:child_process'
import { javascriptOf } from './compiler.js'

/** TypeScript programs as CommonJS, by their names, with the compiler options of a NestJS project. */
export const asCommonJs = (programs: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  javascriptOf(programs, { experimentalDecorators: true, emitDecoratorMetadata: true })

/** The code with `to` in place of `from`, which it must contain. */
export const replaced = (code: string, from: string, to: string): string => {
  if (!code.includes(from)) throw new Error(`The program does not contain ${from}`)
  return code.replace(from, to)
}

/** A Node process. */
export interface Program {
  readonly child: ChildProcess
  /** Resolves with its exit code or signal. */
  readonly ended: Promise<unknown>
  /** The lines that it has printed. */
  readonly lines: () => ReadonlyArray<string>
  /** Resolves with the port once it has printed where it listens. */
  readonly port: () => Promise<string>
}

/** Starts Node processes, and kills them after each test, or after all. */
export const programs = (over = afterEach): ((argv: ReadonlyArray<string>, env: NodeJS.ProcessEnv) => Program) => {
  const children: ChildProcess[] = []
  over(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))
  return (argv, env) => {
    const child = spawn(process.execPath, argv, {
      env: { PATH: process.env.PATH, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
    let out = ''
    const port = new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        out += String(chunk)
        const [, printed] = /listening .*?(\d+)\n/.exec(out) ?? []
        if (printed) resolve(printed)
      })
      void ended.then((how) => reject(new Error(`the application ended with ${String(how)}`)))
    })
    port.catch(() => undefined)
    return { child, ended, lines: () => out.split('\n').slice(0, -1), port: () => port }
  }
}
