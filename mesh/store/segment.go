package store

import (
	"errors"

	"directormesh/mesh/record"
	"directormesh/mesh/wire"
)

// flushBytes is how much is collected before it is written.
const flushBytes = 1 << 18

// segment is a file that is being written: a segment, or a snapshot.
type segment struct {
	file   File
	number uint64
	at     int64  // where the next record begins
	buf    []byte // records that are not written yet; the last ones before at
}

// create makes a file and writes its head, which is on the disk when create returns.
func create(d FS, name string, number uint64, h head) (*segment, error) {
	f, err := d.Create(name)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f, number: number}
	if err = s.add(headRecord, h.append); err == nil {
		err = s.sync()
	}
	if err == nil {
		err = d.SyncDir()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *segment) add(kind record.Kind, fill func([]byte) ([]byte, error)) error {
	before := len(s.buf)
	buf, err := record.Append(s.buf, s.number, s.at, kind, fill)
	if err != nil {
		return err
	}
	s.at += int64(len(buf) - before)
	if s.buf = buf; len(buf) >= flushBytes {
		return s.flush()
	}
	return nil
}

func (s *segment) message(m wire.Message) error {
	return s.add(messageRecord, func(b []byte) ([]byte, error) { return wire.AppendEncode(b, m) })
}

// flush hands to the operating system what was added.
func (s *segment) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.file.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// sync has on the disk what was added.
func (s *segment) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.file.Sync()
}

// mark syncs, and writes a mark behind that.
func (s *segment) mark(m *wire.Mark) error {
	if err := s.sync(); err != nil {
		return err
	}
	content := markContent{synced: s.at, mark: m}
	if err := s.add(markRecord, content.append); err != nil {
		return err
	}
	return s.flush()
}
