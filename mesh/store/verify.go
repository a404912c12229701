package store

import (
	"bytes"
	"errors"
	"io"

	"directormesh/mesh/record"
	"directormesh/mesh/wire"
)

// verified is what a file turned out to hold.
type verified struct {
	head    head
	headed  bool       // the head could be read
	end     int64      // where the good records end
	bad     bool       // something that is no record follows there
	ended   bool       // the last record is that of a snapshot's end
	mark    *wire.Mark // the last one; nil: none
	markEnd int64      // where it ends
	records uint64     // messages
	behind  bool       // a mark stands behind the bad record, so that was on the disk once
}

// verify reads a file, up to a place if that is not 0. The error is that of the disk; what was read
// before counts.
func verify(d FS, name string, number uint64, upTo int64) (v verified, err error) {
	in, err := d.Open(name)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r := record.NewReader(in, number, 0)
	for (upTo == 0 || r.At() < upTo) && !v.ended {
		kind, content, err := r.Next()
		switch {
		case err == io.EOF:
			return v, nil
		case err == record.ErrBad:
			v.bad = true
			v.behind, err = markBehind(d, name, number, r.At())
			return v, err
		case err != nil:
			return v, err
		}
		if !v.take(kind, content, r.At()) {
			v.bad = true
			return v, nil
		}
	}
	return v, nil
}

// take takes in a record that ends at a place; false if it cannot stand there.
func (v *verified) take(kind record.Kind, content []byte, end int64) bool {
	if (kind == headRecord) != (v.end == 0) {
		return false
	}
	switch kind {
	case headRecord:
		if v.head, v.headed = parseHead(content); !v.headed {
			return false
		}
		if v.head.format > Format {
			return false // what follows may look different
		}
	case messageRecord:
		v.records++
	case markRecord:
		m, ok := parseMark(content)
		if !ok {
			return false
		}
		v.mark, v.markEnd = m.mark, end
	case endRecord:
		v.ended = true
	default:
		return false
	}
	v.end = end
	return true
}

// later reports whether the file is of a later format.
func (v *verified) later() bool { return v.headed && v.head.format > Format }

// markBehind reports whether behind a place of a file there is a mark that says that the place was
// on the disk.
func markBehind(d FS, name string, number uint64, at int64) (found bool, err error) {
	in, err := d.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if _, err := io.CopyN(io.Discard, in, at); err != nil {
		return false, err
	}
	rest, err := io.ReadAll(in)
	for from := 0; ; {
		i := bytes.Index(rest[from:], markMagic)
		if i < 0 {
			return false, err
		}
		start := from + i - record.HeadSize
		from += i + 1
		if start < 0 {
			continue
		}
		r := record.NewReader(bytes.NewReader(rest[start:]), number, at+int64(start))
		kind, content, readErr := r.Next()
		if readErr != nil || kind != markRecord {
			continue
		}
		if m, ok := parseMark(content); ok && m.synced > at {
			return true, err
		}
	}
}
