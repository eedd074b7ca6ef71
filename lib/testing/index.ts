export { stubSolver } from './stub-solver.js'
export type { StubMembers } from './stub-members.js'
export type { StubCall } from './stub-call.js'
export type { StubSolver } from './stub-solver.js'

export { orphan, outcomes, taskRef } from './outcomes.js'
export type { Given, OutcomeBuilders } from './outcomes.js'

export { replies } from './replies.js'
export type { Scripted, ScriptedDocument } from './replies.js'
export { scriptedPost } from './scripted-post.js'
export type { CallCounts, Script, ScriptedNetwork, SeenCall } from './scripted-post.js'

export { marbles, scriptedSolver } from './marbles.js'
export type { MarbleHelpers, ScriptedOptions, ScriptedSolver } from './marbles.js'
