package directory

// Clear drops all rows, dead ones too, as if there had never been any. A lookup that goes on
// meanwhile may still find a row, and a row that is stored meanwhile may stay.
func (d *Directory) Clear() {
	for _, tag := range d.Tags() {
		s := d.shard(tag)
		for leaf := range 1 << 16 {
			if l, ok := d.lockLeaf(s, uint16(leaf)); ok {
				l.clear()
				l.unlock()
			}
		}
	}
}

func (l *lockedLeaf) clear() {
	if len(l.rows) == 0 {
		return
	}
	l.lock.change()
	for _, r := range l.rows {
		l.view.removed(r)
		l.take(r)
	}
	l.cut(0)
	l.lock.changed()
	l.trim()
}
