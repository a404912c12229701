package tasks

import (
	"slices"

	"directormesh/directory"
)

// Set is the tasks that run here.
type Set struct {
	tasks  []*Task // ordered by key
	lastID uint64
}

// All are the tasks that run here, in the order of their keys. It must not be changed.
func (s *Set) All() []*Task { return s.tasks }

// Get returns a task by its id, or nil.
func (s *Set) Get(id uint64) *Task {
	i := slices.IndexFunc(s.tasks, func(t *Task) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return s.tasks[i]
}

// Wanted is a task that the table demands.
type Wanted struct {
	Key
	Stamp    directory.Stamp // of the command that set its terms
	By       directory.Time
	Parallel int // at least 1
}

// Want makes the set run these tasks and no others. A task that runs already goes on, by its new
// terms; the moves of one that is not wanted any more end by themselves.
func (s *Set) Want(wanted []Wanted) {
	next := make([]*Task, 0, len(wanted))
	for _, w := range wanted {
		i := slices.IndexFunc(s.tasks, func(t *Task) bool { return t.Key == w.Key })
		var t *Task
		if i >= 0 {
			t = s.tasks[i]
		} else {
			s.lastID++
			t = &Task{Key: w.Key, ID: s.lastID}
		}
		if t.stamp != w.Stamp { // what was not found before may be there now
			t.stamp, t.idle, t.scanning, t.scanAt = w.Stamp, false, false, 0
		}
		t.by, t.parallel = w.By, w.Parallel
		next = append(next, t)
	}
	slices.SortFunc(next, func(a, b *Task) int { return a.compare(b.Key) })
	s.tasks = next
}
