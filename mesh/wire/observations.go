package wire

import (
	"math"

	"directormesh/directory"
	"directormesh/ring"
)

const (
	observationFields = 4
	minObservation    = 1 + 5 + 1 + 1 + 1 // heads, address, sight, since, reason
)

func (m *Observations) encode(w *writer) {
	w.array(2)
	w.bool(m.Whole)
	w.list("observations", len(m.Backends), MaxObservations)
	for i := range m.Backends {
		o := &m.Backends[i]
		w.array(observationFields)
		w.addr("backend", o.Backend, required)
		w.uint(uint64(o.Sight))
		w.int(int64(o.Since))
		if len(o.Reason) > MaxReason {
			w.fail("reason", "%d bytes are over %d", len(o.Reason), MaxReason)
		}
		w.remark(o.Reason)
	}
}

func (m *Observations) decode(r *reader) {
	extra := r.fields("message", 2)
	m.Whole = r.bool("whole")
	m.Backends = list(r, "observations", MaxObservations, minObservation, decodeObservation)
	r.end("message", extra)
}

func decodeObservation(r *reader) (o Observation) {
	extra := r.fields("observation", observationFields)
	o.Backend = r.addr("backend", required)
	o.Sight = Sight(r.uint("sight", math.MaxUint8))
	o.Since = directory.Time(r.int("since"))
	o.Reason = ring.Printable(r.text("reason", MaxReason))
	r.end("observation", extra)
	return o
}
