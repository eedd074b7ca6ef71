/*
 * The scripts that change the record of a key. KEYS[1] is the record, a hash; KEYS[2] is the token, a hash that expires with it;
 * KEYS[3] is BullMQ's lock of the job.
 *
 * state    intent    createTask may have been sent by `creator`
 *          created   `ref` is the task
 *          doubt     a run ended as `CreateUnknown`
 *          fresh     a run ended, and nothing was paid for
 *          finished  the outcome was delivered, and the key is never solved again
 * owner    the run of the processor that holds the job; only its outcome counts
 *
 * A client that reconnects sends a command again if its reply was lost, so each script may run twice with the same arguments.
 * A script that fails keeps what it has written, for example if an ACL forbids one of its commands, and is tried again. So each
 * script writes last what makes another try do nothing: a state, or by whom a resume was counted.
 */

/** A run whose lock another run holds must not become the owner again: it was frozen, and its job was taken over. */
const READ_WITH_LOCK = `local lock = redis.call('GET', KEYS[3])
if lock and lock ~= ARGV[2] then return { 'taken' } end
local record = redis.call('HMGET', KEYS[1], 'state', 'ref', 'tag', 'creator')`

/** An intent of the same run is fresh to it: the reply to its first `begin` was lost, so no createTask was sent. */
const OWN_AND_RETURN = `redis.call('HSET', KEYS[1], 'owner', ARGV[1])
if record[1] == 'intent' and record[4] == ARGV[1] then return { 'fresh' } end
return { record[1], record[2], record[3] }`

/** KEYS[1] is the limiter of the queue. ARGV: waitMs. Keeps workers from beginning jobs for that long; a longer wait stays. */
export const HOLD_QUEUE = `
if redis.call('GET', KEYS[1]) == ARGV[2] and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1`

export const SCRIPTS = {
  /** ARGV: run, lock. Reads the record and becomes its owner. Returns state, ref, tag. */
  find: `
${READ_WITH_LOCK}
if not record[1] then return {} end
${OWN_AND_RETURN}`,

  /**
   * ARGV: run, lock. As `find`, and turns a fresh key into an intent. A full Redis refuses a write only if it is the first
   * of a script, and never refuses `DEL`. So the script begins with `HSET`, and no task is created whose id would be refused.
   */
  begin: `
${READ_WITH_LOCK}
if not record[1] or record[1] == 'fresh' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[1])
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', 'intent', 'creator', ARGV[1], 'owner', ARGV[1])
  return { 'fresh' }
end
${OWN_AND_RETURN}`,

  /** Returns the owner. */
  owner: `return { redis.call('HGET', KEYS[1], 'owner') }`,

  /**
   * ARGV: run, ref. Records the task that this run has created, even if another run owns the record. Returns 0 if another run has begun
   * to create one since then.
   */
  created: `
local record = redis.call('HMGET', KEYS[1], 'state', 'creator')
if record[2] and record[2] ~= ARGV[1] then return 0 end
if record[1] == 'finished' then return 1 end
if not record[2] then redis.call('HSET', KEYS[1], 'creator', ARGV[1], 'owner', ARGV[1]) end
redis.call('HSET', KEYS[1], 'state', 'created', 'ref', ARGV[2])
redis.call('PERSIST', KEYS[1])
return 1`,

  /**
   * ARGV: run, solved, ttlMs, keepMs, ref, validMs. Stores a token and finishes the record. Returns 0 for a run that is not the owner.
   * A token that was stored before is not stored again, because it may have been claimed.
   */
  deliver: `
local record = redis.call('HMGET', KEYS[1], 'state', 'owner')
if record[2] and record[2] ~= ARGV[1] then return 0 end
if record[1] == 'finished' then return 1 end
local now = redis.call('TIME')
local expiresAt = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[6]
redis.call('HSET', KEYS[2], 'solved', ARGV[2], 'expiresAt', string.format('%.0f', expiresAt))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'tag', 'Solved', 'owner', ARGV[1], 'ref', ARGV[5])
redis.call('HDEL', KEYS[1], 'error')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[1], 'state', 'finished')
return 1`,

  /**
   * ARGV: run, lock, error, keepMs, paid, ref. Stores how this run failed, and the task that the error names, in case Redis has lost
   * it. Returns 0 for a run that is not the owner; the run that holds the lock becomes the owner.
   */
  fail: `
local lock = redis.call('GET', KEYS[3])
local record = redis.call('HMGET', KEYS[1], 'state', 'owner')
if lock and lock ~= ARGV[2] then return 0 end
if not lock and record[2] and record[2] ~= ARGV[1] then return 0 end
if record[1] == 'finished' then return 1 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'error', ARGV[3])
if ARGV[6] ~= '' then
  redis.call('PERSIST', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', 'created', 'ref', ARGV[6])
elseif not record[1] and ARGV[5] == 'no' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('HSET', KEYS[1], 'state', 'fresh')
elseif not record[1] then
  redis.call('HSET', KEYS[1], 'state', 'doubt')
end
return 1`,

  /** ARGV: run, entry, tag, keepMs. Records the end of a run, as `entryAfter` says. Changes nothing for a run that is not the owner. */
  ended: `
local record = redis.call('HMGET', KEYS[1], 'state', 'owner')
if record[2] ~= ARGV[1] or record[1] == 'finished' then return 1 end
redis.call('HSET', KEYS[1], 'tag', ARGV[3])
if ARGV[2] == 'Finished' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('HSET', KEYS[1], 'state', 'finished')
elseif record[1] == 'created' then
  return 1
elseif ARGV[2] == 'Fresh' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('HSET', KEYS[1], 'state', 'fresh')
else
  redis.call('HSET', KEYS[1], 'state', 'doubt')
end
return 1`,

  /** ARGV: run. Counts how often a task was given back to be resumed, once for each run. */
  resumed: `
if redis.call('HGET', KEYS[1], 'resumedBy') ~= ARGV[1] then
  redis.call('HINCRBY', KEYS[1], 'resumes', 1)
  redis.call('HSET', KEYS[1], 'resumedBy', ARGV[1])
end
return tonumber(redis.call('HGET', KEYS[1], 'resumes'))`,

  /**
   * ARGV: claimant, holdMs. Returns state, error, ref, solved, and for how many milliseconds the token is surely valid. The first
   * claimant gets the token, and gets it again for a moment in case the reply to its claim was lost. A token whose record is not
   * finished is not given out: its delivery failed half-way, and will store it again.
   */
  claim: `
local record = redis.call('HMGET', KEYS[1], 'state', 'error', 'ref')
local token = redis.call('HMGET', KEYS[2], 'solved', 'claimant', 'expiresAt')
if not token[1] or (token[2] and token[2] ~= ARGV[1]) then return record end
if record[1] and record[1] ~= 'finished' then return record end
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
if not token[2] then
  local ttl = redis.call('PTTL', KEYS[2])
  redis.call('HSET', KEYS[2], 'claimant', ARGV[1], 'keptUntil', string.format('%.0f', nowMs + ttl))
  redis.call('PEXPIRE', KEYS[2], math.min(ttl, tonumber(ARGV[2])))
end
return { record[1], record[2], record[3], token[1], token[3] - nowMs }`,

  /** ARGV: claimant. Deletes a token that has reached its claimant. */
  claimed: `
if redis.call('HGET', KEYS[2], 'claimant') == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1`,

  /** ARGV: claimant. Gives a token back that its claimant has not used, with the time to live that it had. */
  unclaim: `
local token = redis.call('HMGET', KEYS[2], 'claimant', 'keptUntil')
if token[1] ~= ARGV[1] then return 1 end
redis.call('PEXPIREAT', KEYS[2], token[2])
redis.call('HDEL', KEYS[2], 'claimant', 'keptUntil')
return 1`
} as const
