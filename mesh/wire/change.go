package wire

import (
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// A Change is an array of mesh id, names, backend rows and director rows, and what was added: the
// stamp of dropped rows, pins, and the stamp of dropped pins. A
// name (of an origin, a tag, a host) stands once among the names; the rows
// give its place, from 1 on, and 0 for "". So a whole table with its ten
// thousand tombstones stays well within MaxMessage.
//
// A register that is unset is nil.

// Least sizes of what lists hold.
const (
	minNameSize    = 2                 // head and a byte: an empty name is not listed
	minBackendRow  = 1 + 1 + 4 + 3 + 1 // heads, address, three registers unset, forgotten
	minDirectorRow = 1 + 1 + 6 + 1     // heads, address and port, register unset
	registerFields = 2                 // stamp and origin, beside what the value takes
	presenceFields = 3
	stateFields    = 2
	taskFields     = 4
	verdictFields  = 3
	startFields    = 3
	listingFields  = 2
	backendFields  = 5
	directorFields = 2
	changeFields   = 4
)

// nameList numbers the names of a Change while it is written.
type nameList struct {
	names []string
	ids   map[string]uint64
}

// add puts the name on the list.
func (l *nameList) add(name string) {
	if name == "" || l.ids[name] != 0 {
		return
	}
	if l.ids == nil {
		l.ids = make(map[string]uint64)
	}
	l.names = append(l.names, name)
	l.ids[name] = uint64(len(l.names))
}

// addAll puts all names of the change on the list.
func (l *nameList) addAll(c *directory.Change) {
	for i := range c.Backends {
		b := &c.Backends[i]
		if isSet(b.Presence) {
			l.add(b.Presence.Origin)
			l.add(string(b.Presence.Value.Tag))
			l.add(b.Presence.Value.Name)
		}
		l.add(b.VHosts.Origin)
		l.add(b.State.Origin)
		l.add(b.Drain.Origin)
		l.add(b.Rebalance.Origin)
		l.add(b.Verdict.Origin)
		l.add(b.Factor.Origin)
		l.add(b.Standby.Origin)
		l.add(b.Start.Origin)
		l.add(b.Listing.Origin)
	}
	for i := range c.Directors {
		l.add(c.Directors[i].Removed.Origin)
	}
	for i := range c.Pins {
		l.add(string(c.Pins[i].User.Tag))
		l.add(c.Pins[i].Backend.Origin)
	}
}

// isSet says whether a register holds a value.
func isSet[T comparable](g directory.Register[T]) bool { return g.Origin != "" }

func encodeChange(w *writer, c *directory.Change) {
	var names nameList
	names.addAll(c)
	fields := changeFields
	switch {
	case c.DroppedPins != 0:
		fields += 3
	case len(c.Pins) > 0:
		fields += 2
	case c.Dropped != 0:
		fields++
	}
	w.array(fields)
	w.uint(uint64(c.Mesh))
	w.list("names", len(names.names), maxNames)
	for _, name := range names.names {
		w.name("name", name)
	}
	w.list("backends", len(c.Backends), maxBackends)
	for i := range c.Backends {
		encodeBackendRow(w, &names, &c.Backends[i])
	}
	w.list("directors", len(c.Directors), maxRemovals)
	for i := range c.Directors {
		d := &c.Directors[i]
		w.array(directorFields)
		w.addrPort("director", d.Addr, required)
		encodeRegister(w, &names, d.Removed, w.bool)
	}
	if fields > changeFields {
		w.uint(uint64(c.Dropped))
	}
	if fields > changeFields+1 {
		encodePins(w, &names, c.Pins)
	}
	if fields > changeFields+2 {
		w.uint(uint64(c.DroppedPins))
	}
}

func encodeBackendRow(w *writer, names *nameList, b *directory.BackendRow) {
	fields := backendFields
	switch {
	case isSet(b.Listing):
		fields += 7
	case isSet(b.Start):
		fields += 6
	case isSet(b.Standby):
		fields += 5
	case isSet(b.Factor):
		fields += 4
	case isSet(b.Verdict):
		fields += 3
	case isSet(b.Rebalance):
		fields += 2
	case isSet(b.Drain):
		fields++
	}
	w.array(fields)
	w.addr("backend", b.Addr, required)
	encodeRegister(w, names, b.Presence, func(p directory.Presence) {
		if problem := hostProblem(p.Name); problem != nil {
			w.fail("host name", "%v", problem)
			return
		}
		w.array(presenceFields)
		w.bool(p.Present)
		w.uint(names.ids[string(p.Tag)])
		w.uint(names.ids[p.Name])
	})
	encodeRegister(w, names, b.VHosts, func(n int) {
		if n < 0 || n > ring.MaxVHosts {
			w.fail("vhost count", "%d is not in 0..%d", n, ring.MaxVHosts)
			return
		}
		w.uint(uint64(n))
	})
	encodeRegister(w, names, b.State, func(s directory.State) {
		w.array(stateFields)
		w.bool(s.Down)
		w.uint(uint64(s.Since))
	})
	w.uint(uint64(b.Forgotten))
	if fields > backendFields {
		encodeRegister(w, names, b.Drain, w.task)
	}
	if fields > backendFields+1 {
		encodeRegister(w, names, b.Rebalance, w.task)
	}
	if fields > backendFields+2 {
		encodeRegister(w, names, b.Verdict, func(v directory.Verdict) {
			if v.Flaps < 0 || v.Flaps > directory.MaxFlaps {
				w.fail("flaps", "%d is not in 0..%d", v.Flaps, directory.MaxFlaps)
				return
			}
			fields := verdictFields
			if v.Flaps > 0 {
				fields++
			}
			w.array(fields)
			w.bool(v.Failed)
			w.uint(uint64(v.Since))
			w.bool(v.Cleared)
			if v.Flaps > 0 {
				w.uint(uint64(v.Flaps))
			}
		})
	}
	if fields > backendFields+3 {
		encodeRegister(w, names, b.Factor, func(f directory.Factor) {
			if f < 0 || f > ring.MaxFactor {
				w.fail("factor", "%d is not in 0..%d", f, ring.MaxFactor)
				return
			}
			w.uint(uint64(f))
		})
	}
	if fields > backendFields+4 {
		encodeRegister(w, names, b.Standby, w.bool)
	}
	if fields > backendFields+5 {
		encodeRegister(w, names, b.Start, w.start)
	}
	if fields > backendFields+6 {
		encodeRegister(w, names, b.Listing, func(l directory.Listing) {
			w.array(listingFields)
			w.bool(l.Gone)
			w.bool(l.Retained)
		})
	}
}

func (w *writer) task(t directory.Task) {
	w.array(taskFields)
	w.bool(t.On)
	w.uint(uint64(t.Since))
	w.int(int64(t.By))
	if t.Parallel < 0 || t.Parallel > directory.MaxParallel {
		w.fail("parallel", "%d is not in 0..%d", t.Parallel, directory.MaxParallel)
		return
	}
	w.uint(uint64(t.Parallel))
}

func (w *writer) start(s directory.Start) {
	if s.Over < 0 || s.Over > directory.MaxSlowStart || s.Percent < 0 ||
		s.Percent >= ring.WholeStart {
		w.fail("start", "%d %% over %v", s.Percent, s.Over)
		return
	}
	w.array(startFields)
	w.uint(uint64(s.Since))
	w.uint(uint64(s.Over.Milliseconds()))
	w.uint(uint64(s.Percent))
}

// hostProblem says why a name is not that of a backend's host, nil if it is, or is missing.
func hostProblem(name string) error {
	if name == "" {
		return nil
	}
	return ring.CheckHostName(name)
}

func encodeRegister[T comparable](
	w *writer, names *nameList, g directory.Register[T], value func(T),
) {
	if !isSet(g) {
		w.null()
		return
	}
	w.array(1 + registerFields)
	value(g.Value)
	w.uint(uint64(g.Stamp))
	w.uint(names.ids[g.Origin])
}

// changeReader reads a Change; its names are known before its rows.
type changeReader struct {
	*reader
	names []string
}

func decodeChange(r *reader) (c directory.Change) {
	extra := r.fields("change", changeFields)
	c.Mesh = directory.MeshID(r.uint64("mesh id"))
	cr := changeReader{reader: r}
	cr.names = list(r, "names", maxNames, minNameSize, func(r *reader) string {
		name := r.name("name")
		if name == "" {
			r.fail("name", "empty")
		}
		return name
	})
	c.Backends = list(r, "backends", maxBackends, minBackendRow,
		func(*reader) directory.BackendRow { return cr.backendRow() })
	c.Directors = list(r, "directors", maxRemovals, minDirectorRow,
		func(*reader) directory.DirectorRow { return cr.directorRow() })
	if extra > 0 {
		c.Dropped = directory.Stamp(r.uint64("dropped"))
	}
	if extra > 1 {
		c.Pins = cr.pins()
	}
	if extra > 2 {
		c.DroppedPins = directory.Stamp(r.uint64("dropped pins"))
	}
	r.end("change", extra-3)
	return c
}

// listed reads the place of a name and returns the name.
func (r *changeReader) listed(field string) string {
	n := r.uint(field, uint64(len(r.names)))
	if n == 0 {
		return ""
	}
	return r.names[n-1]
}

func (r *changeReader) backendRow() (b directory.BackendRow) {
	extra := r.fields("backend", backendFields)
	b.Addr = r.addr("backend", required)
	b.Presence = decodeRegister(r, "presence", func() (p directory.Presence) {
		extra := r.fields("presence", presenceFields)
		p.Present = r.bool("presence")
		p.Tag = ring.Tag(r.listed("tag"))
		p.Name = r.listed("host name")
		if problem := hostProblem(p.Name); problem != nil {
			r.fail("host name", "%v", problem)
		}
		r.end("presence", extra)
		return p
	})
	b.VHosts = decodeRegister(r, "vhost count",
		func() int { return int(r.uint("vhost count", ring.MaxVHosts)) })
	b.State = decodeRegister(r, "state", func() (s directory.State) {
		extra := r.fields("state", stateFields)
		s.Down = r.bool("down")
		s.Since = directory.Stamp(r.uint64("since"))
		r.end("state", extra)
		return s
	})
	b.Forgotten = directory.Stamp(r.uint64("forgotten"))
	if extra > 0 {
		b.Drain = decodeRegister(r, "drain", r.task)
	}
	if extra > 1 {
		b.Rebalance = decodeRegister(r, "rebalance", r.task)
	}
	if extra > 2 {
		b.Verdict = decodeRegister(r, "verdict", func() (v directory.Verdict) {
			extra := r.fields("verdict", verdictFields)
			v.Failed = r.bool("failed")
			v.Since = directory.Stamp(r.uint64("since"))
			v.Cleared = r.bool("cleared")
			if extra > 0 {
				v.Flaps = int(r.uint("flaps", directory.MaxFlaps))
			}
			r.end("verdict", extra-1)
			return v
		})
	}
	if extra > 3 {
		b.Factor = decodeRegister(r, "factor",
			func() directory.Factor { return directory.Factor(r.uint("factor", ring.MaxFactor)) })
	}
	if extra > 4 {
		b.Standby = decodeRegister(r, "standby", func() bool { return r.bool("standby") })
	}
	if extra > 5 {
		b.Start = decodeRegister(r, "start", r.start)
	}
	if extra > 6 {
		b.Listing = decodeRegister(r, "listing", func() (l directory.Listing) {
			extra := r.fields("listing", listingFields)
			l.Gone = r.bool("gone")
			l.Retained = r.bool("retained")
			r.end("listing", extra)
			return l
		})
	}
	r.end("backend", extra-7)
	return b
}

func (r *changeReader) task() (t directory.Task) {
	extra := r.fields("task", taskFields)
	t.On = r.bool("on")
	t.Since = directory.Stamp(r.uint64("since"))
	t.By = directory.Time(r.int("by"))
	t.Parallel = int(r.uint("parallel", directory.MaxParallel))
	r.end("task", extra)
	return t
}

func (r *changeReader) start() (s directory.Start) {
	extra := r.fields("start", startFields)
	s.Since = directory.Stamp(r.uint64("since"))
	s.Over = time.Duration(r.uint("over", uint64(directory.MaxSlowStart.Milliseconds()))) *
		time.Millisecond
	s.Percent = int(r.uint("percent", ring.WholeStart-1))
	r.end("start", extra)
	return s
}

func (r *changeReader) directorRow() (d directory.DirectorRow) {
	extra := r.fields("director", directorFields)
	d.Addr = r.addrPort("director", required)
	d.Removed = decodeRegister(r, "removed", func() bool { return r.bool("removed") })
	r.end("director", extra)
	return d
}

func decodeRegister[T comparable](
	r *changeReader, field string, value func() T,
) (g directory.Register[T]) {
	if r.null(field) {
		return g
	}
	extra := r.fields(field, 1+registerFields)
	g.Value = value()
	g.Stamp = directory.Stamp(r.uint64(field))
	g.Origin = r.listed(field)
	if g.Origin == "" {
		r.fail(field, "origin is missing")
	}
	r.end(field, extra)
	return g
}
