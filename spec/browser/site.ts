import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A site of one's own: a page with a form, and a server that has the token checked before it accepts what was sent. */
export interface Site {
  readonly url: string
  /** The names of those who signed up. */
  readonly members: () => ReadonlyArray<string>
  readonly close: () => Promise<unknown>
}

/**
 * Starts the site. Nothing in it knows of a test: in production `verifyUrl` is that of reCAPTCHA,
 * `https://www.google.com/recaptcha/api/siteverify`, and the page also loads the widget, which fills in `g-recaptcha-response`.
 */
export const startSite = async (verifyUrl: string, secret: string): Promise<Site> => {
  const members: string[] = []

  const signUp = async (form: URLSearchParams, hostname: string): Promise<[status: number, page: string]> => {
    const response = form.get('g-recaptcha-response') ?? ''
    const reply = await fetch(verifyUrl, { method: 'POST', body: new URLSearchParams({ secret, response }) })
    const verdict = (await reply.json()) as Verdict
    // A token that was solved on another site is worth nothing here.
    if (!verdict.success || verdict.hostname !== hostname)
      return [403, messagePage('Please try again', `The check failed: ${(verdict['error-codes'] ?? []).join(', ')}`)]
    members.push(form.get('name') ?? '')
    return [200, messagePage('Welcome', `You are member number ${members.length}.`)]
  }

  const pageFor = async (req: IncomingMessage): Promise<[status: number, page: string]> => {
    if (req.method !== 'POST') return [200, FORM_PAGE]
    return signUp(new URLSearchParams(await text(req)), new URL(`http://${req.headers.host}`).hostname)
  }

  const server = createServer((req, res) => {
    const send = ([status, page]: [status: number, page: string]) =>
      res.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page)
    pageFor(req).then(send, () => send([502, messagePage('Please try later', 'The check is not available.')]))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const close = () => {
    server.closeAllConnections()
    return once(server.close(), 'close')
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sign-up`, members: () => members, close }
}

interface Verdict {
  readonly success: boolean
  readonly hostname?: string
  readonly 'error-codes'?: ReadonlyArray<string>
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; }
  body { margin: 0 auto; max-width: 28rem; padding: 2rem 1rem; font: 16px/1.5 system-ui, sans-serif; }
  form, label { display: grid; gap: .4rem; }
  form { gap: 1rem; }
  input, textarea, button { font: inherit; padding: .5rem; }
  textarea { font: .8rem/1.4 ui-monospace, monospace; resize: vertical; }
</style>
<main><h1>${title}</h1>${body}</main>
</html>`

const messagePage = (title: string, message: string): string =>
  page(title, `<p id="message">${message}</p><p><a href="/sign-up">Back to the form</a></p>`)

const FORM_PAGE = page(
  'Sign up',
  `<form method="post">
  <label>Name <input name="name" required></label>
  <label>Token <textarea name="g-recaptcha-response" rows="6"></textarea></label>
  <button>Sign up</button>
</form>`
)
