// Package history owns what a director notes of the past: admin changes, changes of the table, and
// which backend each user got, when and why. It keeps the notes in files of the data directory, or
// in memory where there is none, answers queries about them, and merges the answers of several
// directors.
//
// It is a package beside store, and not a part of it. What store keeps must survive, or the
// director has to say so; notes are dropped when they are old, and when the disk fails. So neither
// waits for the other, and damage of one is no damage of the other. The two share the directory,
// its lock (which is store's) and the framing of records.
//
// # Logs
//
// There are three logs, so that a flush of a million users does not push out who gave the command:
//
//	changes-0000000007  admin changes, changes of the table, lapses; an eighth of the room
//	users-0000000007    users that got another backend; three eighths
//	logins-0000000007   new mappings that were made for logins, packed; a half
//
// A log is a row of files, which are only ever appended to. A full one is followed by a new one,
// and the oldest ones are removed: when all files of the log have more bytes than they may, and
// when all that a file has is too old. Each start begins new files, when there is something to
// note.
//
// # What is missing
//
// Notes of a log are numbered, over restarts too. Where a number is missing something is lost:
// Find says so with a LapseNote. So it does with the time in which the director did not run. A
// record that is cut short or damaged ends what is read of its file.
//
// # Disks
//
// Add never waits. The newest notes are in memory, up to a limit, and are written from there, ten
// times a second at most, and synced each second. While the disk fails they stay, and are written
// when it works again; only what finds no more room is lost. After a failed sync all that was
// written since the last good one is written again, into a new file.
//
// # Concurrency
//
// A History is safe for concurrent use. One goroutine writes; Close waits for it.
package history
