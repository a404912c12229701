// Package lookups answers lookups.
//
//	Answers    gives or makes the answer of one lookup; it is the part of a director that works
//	           while the core does something else
//	View       what a lookup must know besides the directory, as of one moment
//	Verdict    answered, or why a lookup must wait
//	Adoptions  sessions that run where their user is not mapped, until the core moves these users
//
// All of it is safe for concurrent use, but for what the methods of Answers say.
//
// Whether this director is synced, by which rings a director may still answer, and what becomes of
// lookups that wait is decided by package replica.
package lookups
