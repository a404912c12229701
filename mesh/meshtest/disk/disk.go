package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"directormesh/mesh/store"
)

// Disk is a directory. It is safe for concurrent use.
type Disk struct {
	// Before is called before each operation that writes, with its number from 1 on; an error makes
	// it fail. A write of which room is left for a part writes that. Set it before use.
	Before func(op int, what, name string) error

	mu      sync.Mutex
	names   map[string]*file
	durable map[string]*file
	changes []entry // of names, since durable
	ops     int
	locked  bool
}

// file is what a name stands for.
type file struct {
	content []byte
	durable int // bytes that a crash leaves
}

// entry is a new name: name stands for file, or for nothing; was does no more.
type entry struct {
	name, was string
	file      *file
}

// New returns an empty directory.
func New() *Disk { return &Disk{names: map[string]*file{}, durable: map[string]*file{}} }

// Ops is how many operations that write there were.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// begin begins an operation that writes. It leaves d.mu locked.
func (d *Disk) begin(what, name string) error {
	d.mu.Lock()
	d.ops++
	if d.Before == nil {
		return nil
	}
	if err := d.Before(d.ops, what, name); err != nil {
		return fmt.Errorf("%s %s: %w", what, name, err)
	}
	return nil
}

type unlock func()

// Close implements io.Closer.
func (u unlock) Close() error {
	u()
	return nil
}

// Lock implements store.FS.
func (d *Disk) Lock() (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, store.ErrLocked
	}
	d.locked = true
	return unlock(func() {
		d.mu.Lock()
		d.locked = false
		d.mu.Unlock()
	}), nil
}

// Names implements store.FS.
func (d *Disk) Names() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names)), nil
}

// Open implements store.FS.
func (d *Disk) Open(name string) (io.ReadCloser, error) {
	b, err := d.Read(name)
	return io.NopCloser(bytes.NewReader(b)), err
}

// Size implements store.FS.
func (d *Disk) Size(name string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	if f == nil {
		return 0, fs.ErrNotExist
	}
	return int64(len(f.content)), nil
}

// Read returns a copy of a file.
func (d *Disk) Read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(f.content), nil
}

// Write replaces a file, and has it on the disk.
func (d *Disk) Write(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &file{bytes.Clone(b), len(b)}
	d.names[name], d.durable[name] = f, f
}

// Create implements store.FS. The content of a file that is there may come back in a crash.
func (d *Disk) Create(name string) (store.File, error) {
	defer d.mu.Unlock()
	if err := d.begin("create", name); err != nil {
		return nil, err
	}
	f := &file{}
	d.names[name] = f
	d.changes = append(d.changes, entry{name: name, file: f})
	return &handle{d, f, name}, nil
}

// Rename implements store.FS.
func (d *Disk) Rename(from, to string) error {
	defer d.mu.Unlock()
	if err := d.begin("rename", from); err != nil {
		return err
	}
	f := d.names[from]
	if f == nil {
		return fs.ErrNotExist
	}
	delete(d.names, from)
	d.names[to] = f
	d.changes = append(d.changes, entry{name: to, was: from, file: f})
	return nil
}

// Remove implements store.FS.
func (d *Disk) Remove(name string) error {
	defer d.mu.Unlock()
	if err := d.begin("remove", name); err != nil {
		return err
	}
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.names, name)
	d.changes = append(d.changes, entry{was: name})
	return nil
}

// Sync implements store.FS.
func (d *Disk) Sync(name string) error {
	defer d.mu.Unlock()
	if err := d.begin("sync", name); err != nil {
		return err
	}
	f := d.names[name]
	if f == nil {
		return fs.ErrNotExist
	}
	f.durable = len(f.content)
	return nil
}

// SyncDir implements store.FS.
func (d *Disk) SyncDir() error {
	defer d.mu.Unlock()
	if err := d.begin("sync", "."); err != nil {
		return err
	}
	d.durable, d.changes = maps.Clone(d.names), nil
	return nil
}

// ErrFull is what a disk without room gives.
var ErrFull = errors.New("no space left on device")

// Part is an error of Before by which a write writes so many bytes and fails.
type Part int

func (Part) Error() string { return ErrFull.Error() }

// handle is a file that is being written.
type handle struct {
	d    *Disk
	f    *file
	name string
}

// Write implements io.Writer.
func (h *handle) Write(b []byte) (int, error) {
	defer h.d.mu.Unlock()
	if err := h.d.begin("write", h.name); err != nil {
		var part Part
		errors.As(err, &part)
		n := min(int(part), len(b))
		h.f.content = append(h.f.content, b[:n]...)
		return n, err
	}
	h.f.content = append(h.f.content, b...)
	return len(b), nil
}

// Sync implements store.File.
func (h *handle) Sync() error {
	defer h.d.mu.Unlock()
	if err := h.d.begin("sync", h.name); err != nil {
		return err
	}
	h.f.durable = len(h.f.content)
	return nil
}

// Close implements io.Closer.
func (h *handle) Close() error { return nil }
