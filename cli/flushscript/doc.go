// Package flushscript speaks Dovecot's flush script protocol: when a user is moved, the operator's
// script is told after all sessions have been kicked and before the user is let in again, to tidy
// up on the old backend. It makes the user wait for as long as it takes, 20 s at the most; unlike
// in Dovecot its success does not cut the kick delay short.
//
// It owns one exchange with the script, and the form of --flush-socket:
//
//	unix:PATH          connect to a unix socket (Dovecot's script service listens on one)
//	tcp:HOST:PORT      connect to an address
//	exec:PROGRAM       run a program with the arguments below; its exit status is the answer
//
// In PATH, HOST and PROGRAM "%i" is the IP of the new backend, "%h" its host name (the IP if it has
// none), "%%" a percent sign.
//
// A socket is sent these lines, and answers with any text and a last line "+" or "-":
//
//	VERSION<tab>script<tab>4<tab>0
//	-                                  (no time limit of its own)
//	FLUSH
//	user hash, decimal
//	IP of the old backend
//	IP of the new backend
//	up or down: the old backend
//	vhost count of the old backend
//	(empty line)
package flushscript
