package disk

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash returns a directory as the next process may find it after the machine lost power now: of
// what was not synced any part may be missing, or be zeros. This one goes on.
func (d *Disk) Crash(r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.durable)
	all := r.IntN(2) == 0
	for _, c := range d.changes {
		if !all && r.IntN(2) == 0 {
			continue
		}
		delete(names, c.was)
		if c.file != nil {
			names[c.name] = c.file
		}
	}
	next := New()
	left := make(map[*file]*file)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		if left[f] == nil {
			left[f] = f.crash(r)
		}
		next.names[name] = left[f]
	}
	next.durable = maps.Clone(next.names)
	return next
}

// Kill returns a directory as the next process finds it when only the process ended now.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := New()
	next.names, next.durable = maps.Clone(d.names), maps.Clone(d.durable)
	next.changes = slices.Clone(d.changes)
	copied := make(map[*file]*file)
	of := func(f *file) *file {
		if f != nil && copied[f] == nil {
			copied[f] = &file{bytes.Clone(f.content), f.durable}
		}
		return copied[f]
	}
	for name, f := range next.names {
		next.names[name] = of(f)
	}
	for name, f := range next.durable {
		next.durable[name] = of(f)
	}
	for i := range next.changes {
		next.changes[i].file = of(next.changes[i].file)
	}
	return next
}

// crash is what may be left of a file.
func (f *file) crash(r *rand.Rand) *file {
	b := bytes.Clone(f.content)
	if open := len(b) - f.durable; open > 0 {
		switch r.IntN(4) {
		case 0:
			b = b[:f.durable]
		case 1: // all of it
		case 2:
			b = b[:f.durable+r.IntN(open+1)]
		default:
			from := f.durable + r.IntN(open)
			clear(b[from : from+r.IntN(len(b)-from+1)])
		}
	}
	return &file{b, len(b)}
}
