package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"directormesh/mesh/wire"
)

// part is a file, up to where it is to be read.
type part struct {
	name   string
	number uint64
	upTo   int64
}

// Contents is what a directory holds, as far as it is whole.
type Contents struct {
	Identity Identity // zero: none
	// Mark is the last one of what is whole; nil: none.
	Mark     *wire.Mark
	Messages uint64 // that are whole
	Files    int    // that they are in
	Bytes    int64  // of these
	// Torn says that a crash had left a part of a record at the end, which is not used.
	Torn bool
	// LeftOut are files that count for nothing: segments behind a gap whose snapshot was never
	// completed, and what lies behind damage.
	LeftOut []string
	// Damaged are the files that were on the disk once and cannot be read to their ends, or are
	// missing. What is whole then ends before them, and something that was kept is lost.
	Damaged []string
	// Later are the files of a later format. There is nothing else then.
	Later []string

	fs    FS
	parts []part
	last  uint64 // highest number of any file
	tail  part   // the segment that what comes next follows
}

// Empty reports whether nothing was ever kept.
func (c *Contents) Empty() bool {
	return len(c.parts) == 0 && len(c.Damaged) == 0 && len(c.Later) == 0
}

// Inspect looks at a directory and changes nothing. It does not lock: where a director runs, its
// last records may look torn. The error says that the directory cannot be read at all.
func Inspect(d FS) (*Contents, error) {
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	s := survey{Contents: &Contents{fs: d}}
	s.identity(names)
	s.list(names)
	if err := s.chain(); err != nil {
		return nil, err
	}
	if len(s.Later) > 0 {
		s.parts, s.Mark, s.Messages, s.Bytes, s.tail = nil, nil, 0, 0, part{}
	}
	s.Files = len(s.parts)
	return s.Contents, nil
}

// survey finds out what in a directory is whole.
type survey struct {
	*Contents
	snapshots, segments []uint64 // the former from the highest on
	heads               map[uint64]head
}

func (s *survey) identity(names []string) {
	id, err := readIdentity(s.fs)
	switch {
	case err == nil:
		s.Identity = id
	case errors.Is(err, errLaterFormat):
		s.Later = append(s.Later, identityName)
	case slices.Contains(names, identityName):
		s.Damaged = append(s.Damaged, identityName)
	}
}

// list sorts the names. A file that was put away as damaged is damage still, until a snapshot of
// all that the director held since is complete.
func (s *survey) list(names []string) {
	for _, name := range names {
		if n, ok := numberIn(name, segmentPrefix); ok {
			s.segments = append(s.segments, n)
			s.last = max(s.last, n)
		} else if n, ok := numberIn(name, snapshotPrefix); ok {
			s.snapshots = append(s.snapshots, n)
			s.last = max(s.last, n)
		}
	}
	slices.Sort(s.segments)
	slices.Sort(s.snapshots)
	slices.Reverse(s.snapshots)
	for _, name := range names {
		if n, ok := putAwayNumber(name); ok {
			s.last = max(s.last, n)
			if len(s.snapshots) == 0 || s.snapshots[0] < n {
				s.Damaged = append(s.Damaged, name)
			}
		}
	}
}

// chain finds the snapshot to begin with, and the segments that follow it. A segment names the one
// that it follows, and was begun by somebody who knew which one that is. So the last one decides,
// if it follows any.
func (s *survey) chain() error {
	base, err := s.base()
	if err != nil || len(s.Later) > 0 {
		return err
	}
	if err := s.readHeads(base); err != nil || len(s.Later) > 0 {
		return err
	}
	var path []uint64 // from the last one back
	for _, n := range slices.Backward(s.segments) {
		found, missing := s.pathTo(n, base)
		if missing != 0 {
			s.Damaged = append(s.Damaged, segmentName(missing))
		} else if found != nil {
			path = found
			break
		}
	}
	if missing := segmentName(base); base != 0 && path == nil &&
		!slices.Contains(s.Damaged, missing) {
		s.Damaged = append(s.Damaged, missing)
	}
	slices.Reverse(path)
	return s.addAll(path)
}

// readHeads reads the heads of the segments that a snapshot does not make superfluous.
func (s *survey) readHeads(base uint64) error {
	s.segments = slices.DeleteFunc(s.segments, func(n uint64) bool { return n < base })
	s.heads = make(map[uint64]head)
	for _, n := range s.segments {
		v, err := verify(s.fs, segmentName(n), n, 1)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the directory changed meanwhile: %w", err)
		}
		if v.later() {
			s.Later = append(s.Later, segmentName(n))
		} else if v.headed {
			s.heads[n] = v.head
		}
	}
	return nil
}

// pathTo returns the segments from one back to that of the snapshot; nil if it follows none, or one
// that counts for nothing. Missing is a segment that was there and cannot be read.
func (s *survey) pathTo(n, base uint64) (path []uint64, missing uint64) {
	h, ok := s.heads[n]
	if !ok {
		return nil, 0
	}
	for path = []uint64{n}; n != base; path = append(path, n) {
		switch {
		case !h.follows:
			return nil, 0
		case h.after == 0 && base == 0:
			return path, 0
		case h.after < base || h.after >= n:
			return nil, max(base, 1)
		}
		n = h.after
		if h, ok = s.heads[n]; !ok {
			return nil, n
		}
	}
	return path, 0
}

// addAll takes segments, up to the first one of which something is missing, and leaves out the
// others.
func (s *survey) addAll(path []uint64) error {
	used := make(map[uint64]bool)
	for i, n := range path {
		used[n] = true
		upTo := int64(0)
		if i+1 < len(path) {
			upTo = s.heads[path[i+1]].upTo
		}
		if whole, err := s.addSegment(n, upTo); err != nil {
			return err
		} else if !whole {
			break
		}
	}
	for _, n := range s.segments {
		if name := segmentName(n); !used[n] && !slices.Contains(s.Damaged, name) {
			s.LeftOut = append(s.LeftOut, name)
		}
	}
	return nil
}

// base takes the newest snapshot that is whole, and returns its number; 0 if there is none. Where
// none is whole, what can be read of the newest is better than nothing.
func (s *survey) base() (uint64, error) {
	var best part
	var found verified
	for _, n := range s.snapshots {
		name := snapshotName(n)
		v, err := verify(s.fs, name, n, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if v.later() {
			s.Later = append(s.Later, name)
			return 0, nil
		}
		if err == nil && v.ended && !v.bad {
			s.add(part{name, n, v.end}, v)
			return n, nil
		}
		s.Damaged = append(s.Damaged, name)
		if best.number == 0 {
			best, found = part{name, n, v.end}, v
		}
	}
	if best.number != 0 {
		s.add(best, found)
	}
	return best.number, nil
}

// addSegment takes a segment, up to where the next one says that it goes; 0: there is no next one.
// It reports whether that was all there.
func (s *survey) addSegment(n uint64, upTo int64) (whole bool, err error) {
	name := segmentName(n)
	v, err := verify(s.fs, name, n, upTo)
	if errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err != nil || v.behind || v.end < upTo {
		s.Damaged = append(s.Damaged, name)
	} else if v.bad {
		s.Torn = true
	}
	s.add(part{name, n, v.end}, v)
	s.tail = part{name, n, v.end}
	return err == nil && !v.behind && v.end >= upTo, nil
}

func (s *survey) add(p part, v verified) {
	s.parts = append(s.parts, p)
	s.Messages += v.records
	s.Bytes += v.end
	if v.mark != nil {
		s.Mark = v.mark
	}
}
