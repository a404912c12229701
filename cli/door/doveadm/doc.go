// Package doveadm is the door for the tools of a Dovecot 2.3 director: "doveadm director", poolmon,
// and other clients of Dovecot's director-admin socket. It owns the line protocol (framing, limits,
// texts) on both sides: Server answers it; Client asks a running Dovecot director, to import its
// users. Decisions about users and backends are behind the Director interface.
//
// # A connection
//
//	server                                  client
//	VERSION director-doveadm 1 0      ⇄     VERSION director-doveadm 1 0     neither waits
//	                                  ←     HOST-SET 192.0.2.1@ssd 50        NAME TAB arguments
//	OK                                →
//	                                  ←     HOST-LIST
//	192.0.2.1 50 0 ssd U 0            →     a list: lines of fields
//	(empty line)                      →     and its end
//
// Arguments and text fields have TAB, LF, CR, NUL and 0x01 escaped by 0x01. A command waits until
// every live director has the change; only then is the next line read. A line that does not parse
// ends the connection without a reply, as Dovecot's clients expect, and is logged.
//
// A client may write many commands and hang up: all lines that it has written are carried out, in
// order. A client that does not read its replies is cut off after a while; the commands that it
// wrote still run.
//
// # Access
//
// Only the socket's mode decides. All that a connection can do is in commands.go.
// User names never reach the log.
package doveadm
