package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/record"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// format is the version of the files that this release writes. It reads no later one.
const format = 1

const (
	headRecord record.Kind = 1 // the first of each file: format, and when the file was begun
	noteRecord record.Kind = 2 // an encoded note
)

const (
	headSize = 4 + 8
	digits   = 10
	maxBatch = 1 << 20 // bytes that are written at once, about
)

func (l *log) name(number uint64) string {
	return fmt.Sprintf("%s%0*d", l.prefix, digits, number)
}

// numberOf returns the number of a file of this log. Only names that this package makes count.
func (l *log) numberOf(name string) (uint64, bool) {
	n, _ := strconv.ParseUint(strings.TrimPrefix(name, l.prefix), 10, 64) // 0 if it is none
	return n, n > 0 && l.name(n) == name
}

// find finds the files of a log, and where it ended.
func (l *log) find() error {
	names, err := l.fs.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		n, ok := l.numberOf(name)
		if !ok {
			continue
		}
		f := file{number: n}
		if f.size, err = l.fs.Size(name); err != nil {
			return err
		}
		if in, err := l.fs.Open(name); err == nil {
			f.begun, _ = readHead(record.NewReader(in, n, 0))
			_ = in.Close()
		}
		l.files = append(l.files, f)
		l.next = max(l.next, n+1)
	}
	slices.SortFunc(l.files, func(a, b file) int { return int(int64(a.number) - int64(b.number)) })
	for _, f := range slices.Backward(l.files) {
		// What cannot be read is not gone on with, and the numbers say that it is missing.
		_ = l.read(f, func(n wire.Note) bool {
			if n.Head().N > l.last {
				l.last, l.lastFound = n.Head().N, n
			}
			return true
		})
		if l.lastFound != nil {
			break
		}
	}
	l.written, l.synced = l.last, l.last
	for i := range l.files {
		switch {
		case i+1 < len(l.files):
			l.files[i].newest = l.files[i+1].begun
		case l.lastFound != nil:
			l.files[i].newest = l.lastFound.Head().At
		}
	}
	return nil
}

// readHead reads the first record of a file.
func readHead(r *record.Reader) (begun directory.Time, err error) {
	kind, content, err := r.Next()
	switch {
	case err != nil:
		return 0, err
	case kind != headRecord || len(content) < headSize:
		return 0, record.ErrBad
	case binary.LittleEndian.Uint32(content) > format:
		return 0, errLater
	}
	return directory.Time(binary.LittleEndian.Uint64(content[4:])), nil
}

var errLater = errors.New("it is of a later release")

// read gives take one note of a file after another, until it returns false. A file that is not
// there any more has none, and a bad record ends what there is. The error is that of the disk, or
// errLater.
func (l *log) read(f file, take func(wire.Note) bool) error {
	in, err := l.fs.Open(l.name(f.number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = readNotes(in, f.number, take)
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("%s: %w", l.name(f.number), err)
	}
	return nil
}

func readNotes(in io.Reader, number uint64, take func(wire.Note) bool) error {
	r := record.NewReader(in, number, 0)
	_, err := readHead(r)
	for err == nil {
		var kind record.Kind
		var content []byte
		if kind, content, err = r.Next(); err != nil || kind != noteRecord {
			continue
		}
		m, bad := wire.Decode(content)
		if n, ok := m.(wire.Note); bad == nil && ok && !take(n) {
			return nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, record.ErrBad) {
		return nil
	}
	return err
}

// segment is a file that is being written.
type segment struct {
	file   store.File
	number uint64
	at     int64 // where the next record begins
	begun  time.Time
}

// begin makes a file and writes its head. Begun is when the first note was written that is to be in
// it.
func (l *log) begin(begun directory.Time) error {
	number := l.next
	l.next++ // also if this fails: half of it may be there
	f, err := l.fs.Create(l.name(number))
	if err != nil {
		return err
	}
	head, err := record.Append(nil, number, 0, headRecord, func(b []byte) ([]byte, error) {
		b = binary.LittleEndian.AppendUint32(b, format)
		return binary.LittleEndian.AppendUint64(b, uint64(begun)), nil
	})
	if err == nil {
		_, err = f.Write(head)
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.fs.Remove(l.name(number)))
	}
	l.open = &segment{file: f, number: number, at: int64(len(head)), begun: time.Now()}
	l.mu.Lock()
	l.files = append(l.files, file{number: number, size: l.open.at, begun: begun})
	l.mu.Unlock()
	return nil
}

// write writes the notes that no file has yet, and syncs if that is due.
func (l *log) write(now directory.Time, sync bool) error {
	for notes := l.unwritten(); len(notes) > 0; {
		if l.open != nil && l.full() {
			if err := l.sync(); err != nil {
				return err
			}
			l.closeFile()
			l.prune(now)
		}
		if l.open == nil {
			if err := l.begin(notes[0].Head().At); err != nil {
				return err
			}
		}
		rest, err := l.append(notes)
		if err != nil {
			l.giveUp()
			return err
		}
		notes = rest
	}
	if l.open != nil && l.synced < l.written && (sync || time.Since(l.syncAt) >= syncEvery) {
		return l.sync()
	}
	return nil
}

func (l *log) full() bool {
	return l.open.at >= l.maxBytes/segments || time.Since(l.open.begun) >= l.maxAge/segments
}

// append writes as many notes as go into one write, and returns the others.
func (l *log) append(notes []wire.Note) (rest []wire.Note, err error) {
	var buf []byte
	var last wire.Noted
	for len(notes) > 0 && len(buf) < maxBatch && l.open.at+int64(len(buf)) <= l.maxBytes/segments {
		n := notes[0]
		// What our own limits forbid is left out, and its number says so.
		buf, _ = record.Append(buf, l.open.number, l.open.at+int64(len(buf)), noteRecord,
			func(b []byte) ([]byte, error) { return wire.AppendEncode(b, n) })
		last, notes = *n.Head(), notes[1:]
	}
	if _, err := l.open.file.Write(buf); err != nil {
		return nil, err
	}
	l.open.at += int64(len(buf))
	l.mu.Lock()
	l.written = max(l.written, last.N)
	f := &l.files[len(l.files)-1]
	f.size, f.newest = l.open.at, max(f.newest, last.At)
	l.mu.Unlock()
	return notes, nil
}

// sync has on the disk what was written.
func (l *log) sync() error {
	err := l.open.file.Sync()
	if err == nil && l.syncAt.IsZero() {
		err = l.fs.SyncDir()
	}
	if err != nil {
		l.giveUp()
		return err
	}
	l.syncAt = time.Now()
	l.mu.Lock()
	l.synced = l.written
	l.mu.Unlock()
	return nil
}

// giveUp gives the open file up. What was not synced is written again.
func (l *log) giveUp() {
	l.closeFile()
	l.mu.Lock()
	l.written = l.synced
	l.mu.Unlock()
}

func (l *log) closeFile() {
	if l.open != nil {
		_ = l.open.file.Close() // it was synced, or is given up
		l.open, l.syncAt = nil, time.Time{}
	}
}

// prune removes the oldest files, while there is too much, or while all that they have is too old.
// What cannot be removed is tried again later.
func (l *log) prune(now directory.Time) {
	if l.fs == nil {
		return
	}
	for {
		oldest, drop := l.superfluous(now)
		if !drop {
			return
		}
		if l.open != nil && l.open.number == oldest.number {
			if l.sync() != nil {
				return
			}
			l.closeFile()
		}
		if l.remove(oldest) != nil {
			return
		}
	}
}

// superfluous returns the oldest file, and whether it is to go.
func (l *log) superfluous(now directory.Time) (oldest file, drop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.files) == 0 {
		return file{}, false
	}
	var total int64
	for _, f := range l.files {
		total += f.size
	}
	oldest = l.files[0]
	tooMuch := total > l.maxBytes-l.maxBytes/segments // never one file alone
	return oldest, tooMuch || oldest.newest != 0 && now.Sub(oldest.newest) > l.maxAge
}

func (l *log) remove(f file) error {
	err := l.fs.Remove(l.name(f.number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = l.files[1:]
	return nil
}
