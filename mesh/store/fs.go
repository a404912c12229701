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
	// Size returns how many bytes a file has.
	Size(name string) (int64, error)
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

// Replace makes this the content of a file. It is on the disk when the error is nil; else the file
// is as it was.
func Replace(d FS, name string, content []byte) error {
	f, err := d.Create(name + newSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return d.SyncDir()
}

// PutAside renames a file that cannot be read, so that nothing of it is lost, and returns its new
// name.
func PutAside(d FS, name string) (string, error) {
	taken, err := d.Names()
	if err != nil {
		return "", err
	}
	aside := freeName(taken, asidePrefix, name)
	return aside, errors.Join(d.Rename(name, aside), d.SyncDir())
}
