import { STATUS_CODES, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'

export const sendJson = (
  res: ServerResponse,
  body: string | Buffer,
  status = 200,
  headers: OutgoingHttpHeaders = {}
): void => send(res, status, body, { 'content-type': 'application/json', ...headers })

export const sendHtml = (
  res: ServerResponse,
  status: number,
  reason: string,
  headers: OutgoingHttpHeaders = {}
): void => {
  const title = `${status} ${STATUS_CODES[status] ?? 'Status'}`
  const page = `<html><head><title>${title}</title></head><body><h1>${title}</h1><p>${reason}</p></body></html>\n`
  sendPage(res, page, status, headers)
}

export const sendPage = (res: ServerResponse, page: string, status = 200, headers: OutgoingHttpHeaders = {}): void =>
  send(res, status, page, { 'content-type': 'text/html; charset=utf-8', ...headers })

export const sendText = (res: ServerResponse, status: number, text: string): void =>
  send(res, status, text, { 'content-type': 'text/plain; charset=utf-8' })

const send = (res: ServerResponse, status: number, body: string | Buffer, headers: OutgoingHttpHeaders) => {
  res.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
}

/** The longest delay that a timer can hold; with a longer one it would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Acts after a delay (at once for 0), unless the client disconnects first. */
export const actAfter = (res: ServerResponse, ms: number, act: () => void): void => {
  if (ms === 0) return act()
  const timer = setTimeout(act, ms)
  onceClosed(res, () => clearTimeout(timer))
}

/** Acts at intervals until the reply is complete or the client disconnects. */
export const actEvery = (res: ServerResponse, ms: number, act: () => void): void => {
  const timer = setInterval(act, ms)
  onceClosed(res, () => clearInterval(timer))
}

/** Acts once, when the reply has been sent completely, or the client has disconnected. */
export const onceSettled = (res: ServerResponse, act: (isComplete: boolean) => void): void => {
  let isSettled = false
  const settle = (isComplete: boolean) => () => {
    if (!isSettled) act(isComplete)
    isSettled = true
  }
  res.once('finish', settle(true))
  onceClosed(res, settle(false))
}

const onceClosed = (res: ServerResponse, act: () => void): void => {
  if (res.socket) return void res.once('close', act)
  // The response to a pipelined request has no socket until its turn, and gets no event if the connection closes before.
  const { socket } = res.req
  const close = () => {
    socket.off('close', close)
    res.off('close', close)
    act()
  }
  socket.once('close', close)
  res.once('close', close)
}
