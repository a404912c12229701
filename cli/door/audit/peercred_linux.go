package audit

import (
	"net"
	"syscall"
)

// unixPeer asks the kernel who has connected. The pid is 0 if that is a process of another
// namespace.
func unixPeer(c *net.UnixConn) (uid uint32, pid int32, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var cred *syscall.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); controlErr != nil || err != nil {
		return 0, 0, false
	}
	return cred.Uid, cred.Pid, true
}
