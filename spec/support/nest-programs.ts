import { spawn, type ChildProcess } from 'node:child_process'
import { javascriptOf } from './compiler.js'

/** A TypeScript program as CommonJS, with the compiler options of a NestJS project. */
export const asCommonJs = (code: string): string =>
  javascriptOf({ 'one.ts': code }, { experimentalDecorators: true, emitDecoratorMetadata: true })['one.ts']!

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

/** Starts Node processes, and kills them after each test. */
export const programs = (): ((argv: ReadonlyArray<string>, env: NodeJS.ProcessEnv) => Program) => {
  const children: ChildProcess[] = []
  afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))
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
