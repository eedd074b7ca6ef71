import { channel, type Channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import type { EventPorts, EventSink, SolverEvent } from '../core/model/event.js'
import { debugLine } from './debug-line.js'

/** The channels of `node:diagnostics_channel`, by what their messages are about. Their names are part of the public interface. */
const channels = {
  solve: channel('rx-captcha:solve'),
  create: channel('rx-captcha:create'),
  poll: channel('rx-captcha:poll'),
  batch: channel('rx-captcha:batch')
}

const CHANNEL_OF: Readonly<Record<SolverEvent['_tag'], Channel>> = {
  Started: channels.solve,
  Delayed: channels.solve,
  Ended: channels.solve,
  Orphaned: channels.solve,
  Lost: channels.solve,
  CreateSent: channels.create,
  CreateEnded: channels.create,
  Created: channels.create,
  AssumedNotCreated: channels.create,
  Polled: channels.poll,
  PollEnded: channels.poll,
  BatchStarted: channels.batch,
  Skipped: channels.batch,
  BatchStopped: channels.batch,
  BatchEnded: channels.batch
}

/** Publishes events to the channels, and prints them to stderr if `NODE_DEBUG` contains `rx-captcha`. */
export const eventSink = (debug = debuglog('rx-captcha')): EventSink => ({
  get observed() {
    const { solve, create, poll, batch } = channels
    return poll.hasSubscribers || solve.hasSubscribers || create.hasSubscribers || batch.hasSubscribers || debug.enabled
  },
  publish: (event) => {
    if (debug.enabled) debug('%s', debugLine(event))
    const about = CHANNEL_OF[event._tag]
    if (about.hasSubscribers) about.publish(event)
  }
})

let lastId = 0

/** The diagnostics of the process, which all solvers share. */
export const diagnostics = {
  nextId: () => (lastId += 1),
  sink: eventSink()
} satisfies EventPorts
