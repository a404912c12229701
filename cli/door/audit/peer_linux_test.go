package audit_test

import "fmt"

// localPeer is how a process of this machine is named.
func localPeer(uid, pid int) string { return fmt.Sprintf("uid %d pid %d", uid, pid) }
