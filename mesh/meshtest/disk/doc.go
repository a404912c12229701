// Package disk is a directory in memory for tests of package store, with the faults of real ones:
// writes that a crash loses or tears, syncs that fail or take long, no room, no writing at all.
//
// What was written is lost by a crash unless it was synced, and so are names unless the directory
// was. Crash gives one of the directories that may be found afterwards.
package disk
