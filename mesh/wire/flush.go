package wire

import "directormesh/directory"

const minFlush = 1 + 13 + 1

func (m *FlushProgress) encode(w *writer) {
	fields := 13
	if m.Parallel != 0 || m.Director != "" {
		fields = 14
	}
	w.array(fields)
	w.uint(m.ID)
	w.addr("backend", m.Backend, optional)
	w.uint(m.Total)
	w.bool(m.Scanning)
	w.uint(m.Moved)
	w.uint(m.Moving)
	w.uint(m.Failed)
	w.bool(m.Done)
	w.bool(m.Canceled)
	w.int(int64(m.Started))
	w.int(int64(m.Ended))
	w.uint(m.Left)
	w.bool(m.Blind)
	if fields > 13 { // what another director must know to go on
		w.array(2)
		w.uint(m.Parallel)
		w.name("director", m.Director)
	}
}

func (m *FlushProgress) decode(r *reader) {
	extra := r.fields("message", 13)
	m.ID = r.uint64("id")
	m.Backend = r.addr("backend", optional)
	m.Total = r.uint64("total")
	m.Scanning = r.bool("scanning")
	m.Moved = r.uint64("moved")
	m.Moving = r.uint64("moving")
	m.Failed = r.uint64("failed")
	m.Done = r.bool("done")
	m.Canceled = r.bool("canceled")
	m.Started = directory.Time(r.int("started"))
	m.Ended = directory.Time(r.int("ended"))
	m.Left = r.uint64("users left")
	m.Blind = r.bool("blind")
	if extra > 0 {
		more := r.fields("to go on", 2)
		m.Parallel = r.uint64("parallel")
		m.Director = r.name("director")
		r.end("to go on", more)
	}
	r.end("message", extra-1)
}

func (m *FlushCancel) encode(w *writer) {
	fields := 1
	if m.Director != "" {
		fields = 2
	}
	w.array(fields)
	w.uint(m.ID)
	if fields > 1 {
		w.name("director", m.Director)
	}
}

func (m *FlushCancel) decode(r *reader) {
	extra := r.fields("message", 1)
	m.ID = r.uint64("id")
	if extra > 0 {
		m.Director = r.name("director")
	}
	r.end("message", extra-1)
}
