/** The words before a script for bash. Without `--norc`, bash reads ~/.bashrc if its stdin is a socket, as Node's pipes are. */
export const BASH = ['bash', '--norc', '-c'] as const
