// Package probe asks a mail server whether it works. It owns the protocols of these questions: the
// connection, PROXY protocol, TLS, the greeting and, if a test user is given, a login. When to ask,
// which servers, and what follows from an answer is not its business.
//
// # Checks
//
// A Check is one port of a server and what is said there. ParseChecks reads them from a list:
//
//	imap:143,lmtp:24,tcp:993,imap:993+tls,pop3:110+starttls,imap:10143+proxy2
//
// A check of tcp is good when the connection is open, after TLS if there is any. All others wait
// for the greeting of their protocol, say goodbye, and close. With a Login, a check of IMAP, POP3,
// ManageSieve or submission logs in and out as well: many servers greet although nobody can log in.
//
// Certificates are not verified: a check asks whether a server works, by its address.
//
// # Bounds
//
// What a server sends may be of any form and length and come at any pace. A line has at most 8 KB,
// an answer at most 100 lines, and all of a check has the deadline of its context. Texts of servers
// are shortened and escaped before they get into an error.
//
// # Failures
//
// A check that fails returns a *Failure. Its Word is one of few, fit for the label of a metric; its
// text is one line for people, which says what the server did not do: connect, greet, begin TLS, or
// answer which command.
package probe
