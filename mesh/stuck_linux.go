package mesh

import "golang.org/x/sys/unix"

const (
	// manyTimes is how often a segment has been sent again, at least, to count as lost on the way:
	// that takes more than a second.
	manyTimes = 3
	// headers are those of TCP and IPv4, in bytes, which a packet has beside its segment.
	headers = 40
)

// Stuck implements stuckConn: it asks the kernel. A peer that does not read is probed, and not sent
// anything again.
func (c *eagerTCP) Stuck() (size int) {
	_ = c.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		queued, ioErr := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err == nil && ioErr == nil {
			size = stuckSize(info, queued)
		}
	})
	return size
}

// stuckSize says how large the packets are, in bytes, that do not get through, by what the kernel
// tells of a connection and the bytes that it keeps because nobody has acknowledged them.
func stuckSize(info *unix.TCPInfo, queued int) int {
	sent := queued - int(info.Notsent_bytes)
	if info.Retransmits < manyTimes || info.Unacked == 0 || sent <= 0 {
		return 0
	}
	return min(sent/int(info.Unacked), int(info.Snd_mss)) + headers
}
