// Package cli is the command line of a director: one file per command. Commands that ask a director
// use only cli/api; serve and dev run directors by cli/daemon. This package owns
// arguments, tables, messages and exit statuses, which for the commands inherited from "doveadm
// director" are those of Dovecot 2.3.
//
// # Conventions
//
// Data goes to stdout, everything else to stderr: errors in one line that says what to do ("Error:
// …"), remarks, progress. With --json, stdout stays empty when a command fails.
//
// # Exit statuses
//
//	 0  done                     75  try again, or the director cannot be reached
//	64  wrong usage              76  what answered is not a director
//	65  not possible             78  wrong settings
//	68  no such thing           130  interrupted
package cli
