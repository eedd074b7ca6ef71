/** The page that shows a person what `GET /status` says, once a second. It loads nothing else, and writes text only, never markup. */
export const STATUS_PAGE = String.raw`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rx-captcha emulator</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --line: #d9dee5; --text: #1b2330; --soft: #586477;
  --good: #176c3a; --busy: #8a5300; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181f; --card: #1d232d; --line: #353e4c; --text: #e8ecf2; --soft: #9ba7b8;
    --good: #6fd39a; --busy: #f0b75c; --bad: #ff8f86;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { margin: 0; font-size: 1.4rem; }
h2 { margin: 2rem 0 .6rem; font-size: 1.05rem; }
h3 { margin: 0 0 .4rem; font-size: .95rem; }
p { margin: .3rem 0; color: var(--soft); }
code, .id { font-family: ui-monospace, monospace; font-size: .88em; overflow-wrap: anywhere; }
.short { white-space: nowrap; }
.site { min-width: 12rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem; margin-top: 1.2rem; }
.cards section, table { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.cards section { padding: .8rem 1rem; }
dl { margin: 0; display: grid; grid-template-columns: 1fr auto; gap: .15rem 1rem; }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: separate; border-spacing: 0; }
th, td { padding: .4rem .8rem; text-align: left; vertical-align: baseline; overflow-wrap: anywhere; }
th { white-space: nowrap; color: var(--soft); font-weight: 500; font-size: .88rem; }
td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.delivered, .verified, #live.on { color: var(--good); }
.processing, .ready { color: var(--busy); }
.failed, .lost, #live.off { color: var(--bad); }
table:not(:has(tbody tr)), table:has(tbody tr) + .none { display: none; }
/* Only where all columns have room: an id in two lines, and an error code in one. */
@media (min-width: 65rem) {
  .task { min-width: 12rem; }
  .fault { min-width: 14rem; }
}
@media (max-width: 60rem) {
  table, tbody, tr, td { display: block; }
  thead { position: absolute; clip-path: inset(50%); }
  tr { padding: .5rem .8rem; border-top: 1px solid var(--line); }
  tr:first-child { border-top: 0; }
  td, .number, .site { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); align-items: baseline; min-width: 0; padding: .1rem 0; border: 0; text-align: left; }
  td::before { content: attr(data-label); color: var(--soft); font: .93rem system-ui, sans-serif; }
}
</style>
</head>
<body>
<main>
<h1>rx-captcha emulator</h1>
<p>Clients use <code id="url"></code>. Seed <code id="seed"></code>. <span id="live" role="status">Loading…</span></p>
<div class="cards">
  <section><h3>createTask</h3><dl>
    <dt>requests</dt><dd data-counter="createTask"></dd>
    <dt>tasks created</dt><dd data-counter="accepted"></dd>
    <dt>refused</dt><dd data-counter="refused"></dd>
    <dt>replies lost</dt><dd data-counter="lostCreates"></dd>
  </dl></section>
  <section><h3>getTaskResult</h3><dl>
    <dt>requests</dt><dd data-counter="getTaskResult"></dd>
    <dt>solutions delivered</dt><dd data-counter="delivered"></dd>
    <dt>never fetched</dt><dd data-counter="neverFetched"></dd>
    <dt>shortest delay</dt><dd data-counter="smallestGapMs"></dd>
    <dt>overlapping polls</dt><dd data-counter="overlaps"></dd>
  </dl></section>
  <section><h3>Other calls</h3><dl>
    <dt>siteverify</dt><dd data-counter="siteverify"></dd>
    <dt>tokens accepted</dt><dd data-counter="verified"></dd>
    <dt>tokens not accepted</dt><dd data-counter="unverified"></dd>
    <dt>getBalance</dt><dd data-counter="getBalance"></dd>
    <dt>unknown requests</dt><dd data-counter="other"></dd>
  </dl></section>
</div>
<h2>Faults</h2>
<table>
  <thead><tr><th>Rule<th class="number">Applied</tr></thead>
  <tbody id="faults"></tbody>
</table>
<p class="none">There are no fault rules.</p>
<h2>Tasks</h2>
<table>
  <thead><tr><th>Task<th>State<th>Site<th>Created<th class="number">Polls<th>Token<th>Fault</tr></thead>
  <tbody id="tasks"></tbody>
</table>
<p class="none">No task was created yet.</p>
<p id="older"></p>
</main>
<script>
const byId = (id) => document.getElementById(id)
const base = location.pathname.replace(/\/$/, '')
byId('url').textContent = location.origin + base

const showRows = (id, items, cellsOf) => {
  byId(id).replaceChildren(...items.map((item) => {
    const row = document.createElement('tr')
    for (const [label, text, style] of cellsOf(item)) {
      const cell = document.createElement('td')
      cell.dataset.label = label
      cell.textContent = text
      if (style) cell.className = style
      row.append(cell)
    }
    return row
  }))
}

const show = ({ seed, counters, faults, tasks }) => {
  const { requests, smallestGapMs: gap } = counters
  const numbers = { ...counters, ...requests, smallestGapMs: gap === undefined ? '–' : Math.round(gap) + ' ms' }
  byId('seed').textContent = seed
  for (const number of document.querySelectorAll('[data-counter]'))
    number.textContent = numbers[number.dataset.counter].toLocaleString('en')
  showRows('faults', faults, ({ rule, applied }) => [['Rule', rule, 'id'], ['Applied', applied, 'number']])
  showRows('tasks', tasks, (task) => [
    ['Task', task.taskId, 'id task'],
    ['State', task.state, 'short ' + task.state],
    ['Site', task.site, 'site'],
    ['Created', new Date(task.acceptedAt).toLocaleTimeString('en-GB'), 'short'],
    ['Polls', task.polls, 'number'],
    ['Token', task.token ?? '–', 'id short'],
    ['Fault', task.fault ?? '–', task.fault ? 'id fault' : 'id']
  ])
  const older = counters.accepted - tasks.length
  byId('older').textContent = older > 0 ? older.toLocaleString('en') + ' older tasks are not shown.' : ''
}

const showLive = (isLive, text) => {
  byId('live').className = isLive ? 'on' : 'off'
  byId('live').textContent = text
}

let shown = ''
const update = async () => {
  try {
    const reply = await fetch(base + '/status', { cache: 'no-store' })
    const text = await reply.text()
    // Rows that do not change are kept, so that their text can be selected.
    if (text !== shown) show(JSON.parse(text))
    shown = text
    showLive(true, 'Live.')
  } catch {
    showLive(false, 'The emulator does not reply. It may have stopped.')
  }
  setTimeout(update, 1000)
}
update()
</script>
</body>
</html>
`
