// Package flushscript speaks Dovecot's flush script protocol. During a move the operator's script
// cleans up on the old backend: it runs after all sessions have been kicked and before the user may
// log in again. The user waits for the script, 20 s at most. Unlike in Dovecot, a script that
// succeeds does not end the kick delay early.
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
