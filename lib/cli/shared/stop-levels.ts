import { ReplaySubject, scan, type Observable } from 'rxjs'

/**
 * How urgently the user wants a batch to stop, by the signals so far: 1 begins nothing new, 2 stops now, and from 3 on nothing is
 * waited for. SIGTERM and SIGHUP stop now, because a process manager does not wait for five minutes.
 */
export const stopLevels = (signals: Observable<NodeJS.Signals>): Observable<number> => {
  const levels = new ReplaySubject<number>(1)
  signals.pipe(scan((level, signal) => (level === 0 && signal !== 'SIGINT' ? 2 : level + 1), 0)).subscribe(levels)
  return levels.asObservable()
}

/** After level 2 a line waits so long for a slow reader of the output. */
export const READER_GRACE_MS = 2_000
