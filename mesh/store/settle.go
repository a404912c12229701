package store

import "slices"

// settle puts away what is not to be used, and says whose directory it is. What was found before it
// failed is to be read no more: it may have another name.
func (w *writer) settle() error {
	c := w.found
	if err := w.putAway(); err != nil {
		return err
	}
	if c.Identity != w.want {
		if err := writeIdentity(w.fs, w.want); err != nil {
			return err
		}
	}
	follows := len(c.Damaged) == 0 && len(c.Later) == 0
	if follows && c.tail.number != 0 {
		// After a crash of the process alone a part of it, or its name, may be in memory only.
		follows = w.fs.Sync(c.tail.name) == nil && w.fs.SyncDir() == nil
	}
	w.tail = head{}
	if follows {
		w.tail = head{follows: true, after: c.tail.number, upTo: c.tail.upTo}
	}
	for _, p := range c.parts {
		if _, ok := numberIn(p.name, snapshotPrefix); ok {
			w.size = p.upTo
		} else {
			w.closed[p.number] = p.upTo
		}
	}
	w.settled = true
	return nil
}

// putAway renames files that are damaged or of a later format, and what lies behind damage. None
// is removed.
func (w *writer) putAway() error {
	names, err := w.fs.Names()
	if err != nil {
		return err
	}
	c := w.found
	away := make(map[string]string) // prefix by name
	for _, name := range c.LeftOut {
		if len(c.Damaged) > 0 {
			away[name] = asidePrefix
		}
	}
	for _, name := range names {
		if _, other := numberOf(name); len(c.Later) > 0 && (other || name == identityName) {
			away[name] = asidePrefix
		}
	}
	for _, name := range c.Damaged {
		if _, already := putAwayNumber(name); !already {
			away[name] = damagedPrefix
		}
	}
	for _, name := range slices.Clone(names) {
		prefix := away[name]
		if prefix == "" {
			continue
		}
		to := freeName(names, prefix, name)
		if err := w.fs.Rename(name, to); err != nil {
			return err
		}
		names = append(names, to)
	}
	if len(away) > 0 {
		return w.fs.SyncDir()
	}
	return nil
}

// follows reports whether the open segment follows another one, or an empty directory.
func (w *writer) follows() bool { return w.tail.follows }
