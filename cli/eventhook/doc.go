// Package eventhook tells others of events: a program of the operator's that it runs, and an
// address to which it posts. It owns which director does so, how long it takes at most, and what
// happens when it fails.
//
// # Once for the mesh
//
// All directors see most events, and one tells of them: the one that acts for all, the lowest
// synced director by name that is in contact with half of the others at least. The others keep
// events for ten seconds. Who comes to act for all, because the one before is gone, tells of those
// too: so it is told that a director failed, though none acted for all at that moment. Around such
// a change an event may be told twice.
//
// # The command
//
// It is split at blanks and run directly, without a shell, with the kind of the event and what
// happened as two more arguments. Both are from a closed set, see package api. The event itself is
// a line of JSON on its standard input. After ten seconds the program and its children are killed.
//
// # The address
//
// The event is posted as JSON; an answer of 200 to 299 is a success. What fails for the moment (no
// connection, no answer within five seconds, 429, 500 and above) is tried again, five times in
// all within about 15 seconds. Redirects are not followed.
//
// Events wait in a queue of each, a thousand at most; those that find no room are counted.
package eventhook
