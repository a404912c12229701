// Package handover takes over listening sockets and FIFOs that another process has opened for this
// one: systemd (socket activation), Dovecot's master process when it runs the director as one of
// its services, or "director hold" where there is no service manager. What is handed over outlives
// the director: while it is down connections queue up, and somebody always has the FIFO open, so
// that nobody who writes to it is blocked.
//
// "director hold" itself may be killed together with the director. Then a guard, a shell that waits
// for just that, removes the FIFO, which nobody would have open any more.
//
// Take finds what was handed over and says for which door each piece is. It knows nothing about
// what is spoken there; the daemon does. Hold is the other side: it opens sockets and FIFOs, runs a
// command with them and keeps them while the command is started again.
//
// # Who hands over how
//
//	systemd, director hold   LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; descriptors from 3 on
//	Dovecot's master         SOCKET_COUNT, SOCKET0_SETTINGS…, GENERATION, CLIENT_LIMIT; descriptors from 7, 8 or 9 on,
//	                         depending on its version; 5 wants a status record, 6 ends when the master is gone
//
// # Which door
//
// A name that the other side gave counts if it is the name of a door. Otherwise the end of the
// socket's file name decides as in Dovecot 2.3: what follows its last "-" (director-userdb,
// proxy-notify), else a FIFO is the notify FIFO, a unix socket is a login socket, and director.sock
// is the API's.
package handover
