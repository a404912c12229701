package wire

import (
	"directormesh/directory"
	"directormesh/ring"
)

const (
	nameSightFields  = 7
	nameTargetFields = 3
	minNameSight     = 1 + 2 + 6     // head, name, and the other fields
	minNameTarget    = 1 + 5 + 1 + 1 // heads, address, vhosts, standby
)

func (m *Names) encode(w *writer) {
	w.array(2)
	w.bool(m.Whole)
	w.list("names", len(m.Names), MaxNames)
	for i := range m.Names {
		n := &m.Names[i]
		if err := ring.CheckHostName(n.Name); err != nil {
			w.fail("name of backends", "%v", err)
		}
		w.array(nameSightFields)
		w.name("name of backends", n.Name)
		w.name("tag", string(n.Tag))
		w.bool(n.Resolves)
		w.bool(n.Settled)
		w.int(int64(n.Since))
		if len(n.Reason) > MaxReason {
			w.fail("reason", "%d bytes are over %d", len(n.Reason), MaxReason)
		}
		w.remark(n.Reason)
		w.list("addresses", len(n.Targets), MaxNameTargets)
		for _, t := range n.Targets {
			w.array(nameTargetFields)
			w.addr("address", t.Addr, required)
			if t.VHosts < 0 || t.VHosts > ring.MaxVHosts {
				w.fail("vhost count", "%d is not in 0..%d", t.VHosts, ring.MaxVHosts)
			}
			w.uint(uint64(t.VHosts))
			w.bool(t.Standby)
		}
	}
}

func (m *Names) decode(r *reader) {
	extra := r.fields("message", 2)
	m.Whole = r.bool("whole")
	m.Names = list(r, "names", MaxNames, minNameSight, decodeNameSight)
	r.end("message", extra)
}

func decodeNameSight(r *reader) (n NameSight) {
	extra := r.fields("sight of a name", nameSightFields)
	n.Name = r.name("name of backends")
	if err := ring.CheckHostName(n.Name); r.err == nil && err != nil {
		r.fail("name of backends", "%v", err)
	}
	n.Tag = ring.Tag(r.name("tag"))
	n.Resolves = r.bool("resolves")
	n.Settled = r.bool("settled")
	n.Since = directory.Time(r.int("since"))
	n.Reason = ring.Printable(r.text("reason", MaxReason))
	n.Targets = list(r, "addresses", MaxNameTargets, minNameTarget, decodeNameTarget)
	r.end("sight of a name", extra)
	return n
}

func decodeNameTarget(r *reader) (t ring.Target) {
	extra := r.fields("address of a name", nameTargetFields)
	t.Addr = r.addr("address", required)
	t.VHosts = int(r.uint("vhost count", ring.MaxVHosts))
	t.Standby = r.bool("standby")
	r.end("address of a name", extra)
	return t
}
