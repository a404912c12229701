package store

import (
	"errors"
	"io"
)

// FS is a directory, as far as a store uses one. Names have no path.
type FS interface {
	// Lock keeps other processes out until it is closed; ErrLocked if one is in.
	Lock() (io.Closer, error)
	Names() ([]string, error)
	Open(name string) (io.ReadCloser, error)
	// Create makes a file, or empties the one that is there.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// Sync has the content of a file on the disk when it returns nil.
	Sync(name string) error
	// SyncDir does so for the names of the directory.
	SyncDir() error
}

// File is a file that is being written. A write that fails may have written a part.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// ErrLocked is returned for a directory that another process uses.
var ErrLocked = errors.New("another process uses it")
