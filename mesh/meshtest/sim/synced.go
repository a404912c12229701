package sim

import "directormesh/mesh/meshtest/check"

// reportSynced reports to the checker when the director becomes synced, or is no longer, or for
// another reason.
func (d *director) reportSynced() {
	self := d.core.Self(d.now())
	same := self.Synced == d.synced && (self.Synced || self.Reason == d.why) &&
		self.Mesh.ID == d.mesh
	if !d.alive || d.removed {
		return
	}
	d.w.demands.steady(d.w, d, self)
	if same {
		return
	}
	d.synced, d.why, d.mesh = self.Synced, self.Reason, self.Mesh.ID
	d.record(check.Synced{
		At: d.w.when(), Director: d.name, Synced: d.synced, Why: d.why, Mesh: uint64(d.mesh),
	})
}
