// Package handover takes over listening sockets and FIFOs that another process has opened for this
// one: systemd (socket activation), Dovecot's master process when it runs the director as one of
// its services, or "director hold" where there is no service manager. Sockets and FIFOs that are
// handed over outlive the director: while it is down connections queue, and the FIFO stays open, so
// that its writers are not blocked.
//
// "director hold" itself may be killed together with the director. Then no process has the FIFO
// open; a guard, a shell that waits for this case, removes it.
//
// Take finds what was handed over, and for which door each piece is. The daemon knows the protocols
// of the doors. Hold is the other side: it opens sockets and FIFOs, runs a command with them and
// keeps them while the command is started again.
//
// # Ways to hand over
//
//	systemd, director hold   LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; descriptors from 3 on
//	Dovecot's master         SOCKET_COUNT, SOCKET0_SETTINGS…, GENERATION, CLIENT_LIMIT;
//	                         descriptors from 7, 8 or 9 on, by its version; 5 wants a status
//	                         record, 6 ends when the master is gone
//
// # Which door
//
// A name from the other side decides if it is the name of a door. Otherwise the end of the socket's
// file name decides, as in Dovecot 2.3: the part after its last "-" (director-userdb,
// proxy-notify). If that is no door either, a FIFO is the notify FIFO, a unix socket is a login
// socket, and director.sock is the API's.
package handover
