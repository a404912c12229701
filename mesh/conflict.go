package mesh

import (
	"fmt"
	"time"
)

// newcomer is how long after its start a director gives way to another one of its name. One that
// has been up for longer is not driven out by another that starts; it only says what it sees.
const newcomer = time.Minute

// nameConflict decides what it means that another director has our name. Of two, the one that
// started later must end. Both judge by the same figures, those of one handshake: no clock is
// asked, and no message that could be a record of a life before.
//
// Only a director that answers under our name where we have dialled it has that name; one that
// claims it is dialled first. So nothing that is sent to a director ends it. Who has the key can
// run a director of our name, and say that it is older: that ends one that is younger than a
// minute, which systemd starts again. Not to end would help nobody: a copied configuration must
// not answer logins beside its original, and who has the key can keep any newcomer from being
// admitted, by refusing it.
func (n *Node) nameConflict(e memberEvent) {
	switch {
	case e.boot == n.boot.Load():
	case n.up() <= newcomer && (e.ours < e.theirs || e.ours == e.theirs && n.boot.Load() > e.boot):
		n.fail(fmt.Errorf(
			"node name %q is already used by the director at %s; give this one another --node-name",
			n.cfg.Name, e.addr))
	default:
		n.limited("conflict").Error().Stringer("addr", e.addr).
			Msg("another director uses this node name; give it another --node-name")
	}
}

// up is for how long this director has been running.
func (n *Node) up() time.Duration { return n.clock().Sub(n.started) }

// upTime is for how long a director had been running when it sent a hello or a refusal.
func upTime(milliseconds int64) time.Duration {
	return time.Duration(milliseconds) * time.Millisecond
}
