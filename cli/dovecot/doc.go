// Package dovecot talks to the control sockets of the Dovecot beside a director: to list the
// connections that its login processes proxy, and to end some of them.
//
//	IPC     Dovecot 2.3, BASE_DIR/ipc              all login processes at once
//	Anvil   Dovecot 2.4, BASE_DIR/anvil            all connections that have reached their backend
//	Admin   Dovecot 2.4, BASE_DIR/srv.*-login/PID  one login process, with connections that have
//	                                               not reached their backend yet
//
// It owns only the protocols. Packages session and kick decide which connections are to end, and
// how far a number from Dovecot can be relied on.
//
// Each request has a connection of its own, which ends with the request's context, so a Dovecot
// process that hangs delays only that request. All types are plain values, safe for
// concurrent use. What comes from Dovecot is bounded: a line that is too long, or a list that does
// not end, is an error.
package dovecot
