//go:build unix && !linux

package mesh

// Stuck implements stuckConn where the kernel is not asked.
func (c *eagerTCP) Stuck() int { return 0 }
