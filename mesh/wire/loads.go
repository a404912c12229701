package wire

import "math"

const (
	loadsFields = 4
	loadFields  = 2
	minLoad     = 1 + 5 + 1 // heads, address, load
)

func (m *Loads) encode(w *writer) {
	w.array(loadsFields)
	w.uint(uint64(m.Balance))
	w.uint(uint64(m.Source))
	w.bool(m.Known)
	w.list("loads", len(m.Backends), MaxLoads)
	for i := range m.Backends {
		w.array(loadFields)
		w.addr("backend", m.Backends[i].Backend, required)
		w.uint(m.Backends[i].Load)
	}
}

func (m *Loads) decode(r *reader) {
	extra := r.fields("message", loadsFields)
	m.Balance = Balancing(r.uint("balancing", math.MaxUint8))
	m.Source = LoadSource(r.uint("source", math.MaxUint8))
	m.Known = r.bool("known")
	m.Backends = list(r, "loads", MaxLoads, minLoad, decodeLoad)
	r.end("message", extra)
}

func decodeLoad(r *reader) (l Load) {
	extra := r.fields("load", loadFields)
	l.Backend = r.addr("backend", required)
	l.Load = r.uint64("load")
	r.end("load", extra)
	return l
}
